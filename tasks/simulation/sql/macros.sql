-- Macros of chance and time. A draw is a pure function of (key, stream): whoever is made next to a
-- customer, on how many threads and in which chunk, changes nothing.

-- A key of its own for one customer: nothing else than the seed and the number goes in.
create or replace macro customer_key(seed, number) as
    hash(hash(xor(hash(seed::ubigint), hash(number::ubigint))));

-- The key of a part (an order, a line) of what has the key `key`.
create or replace macro part_key(key, part) as hash(xor(key, hash(part::ubigint)));

-- Uniform on (0, 1), 53 bits: 2^-53 is 1.1102230246251565e-16.
create or replace macro uniform(key, stream) as
    ((hash(xor(key, hash(stream::ubigint))) >> 11)::double + 0.5) * 1.1102230246251565e-16;

-- Uniform on (0, 1) of 16 of the 64 bits of a key, for the many draws of a line.
create or replace macro uniform_16(key, shift) as
    (((key >> shift) & 65535)::double + 0.5) / 65536.0;

-- Standard normal: Box and Muller 1958. Uses streams `stream` and `stream` + 1.
create or replace macro normal(key, stream) as
    sqrt(-2.0 * ln(uniform(key, stream))) * cos(2.0 * pi() * uniform(key, stream + 1));

-- One try of Marsaglia and Tsang 2000 for a gamma of shape d + 1/3 >= 1; NULL where it is refused.
create or replace macro gamma_accept(x, v, u, d) as
    case when v > 0 and ln(u) < 0.5 * x * x + d - d * v + d * ln(greatest(v, 1e-300)) then d * v end;
create or replace macro gamma_try(key, stream, d) as
    gamma_accept(
        normal(key, stream),
        pow(1.0 + normal(key, stream) / sqrt(9.0 * d), 3),
        uniform(key, stream + 2),
        d
    );

-- Gamma of a shape >= 1 and scale 1. A try fails in under 5 % of cases, eight in under 1e-10.
create or replace macro gamma_from_one(key, stream, shape) as
    coalesce(
        gamma_try(key, stream, shape - 1.0 / 3.0),
        gamma_try(key, stream + 3, shape - 1.0 / 3.0),
        gamma_try(key, stream + 6, shape - 1.0 / 3.0),
        gamma_try(key, stream + 9, shape - 1.0 / 3.0),
        gamma_try(key, stream + 12, shape - 1.0 / 3.0),
        gamma_try(key, stream + 15, shape - 1.0 / 3.0),
        gamma_try(key, stream + 18, shape - 1.0 / 3.0),
        gamma_try(key, stream + 21, shape - 1.0 / 3.0),
        shape
    );

-- Gamma of any shape and scale 1: below one by the power of a uniform (same paper, section 6).
create or replace macro gamma_draw(key, stream, shape) as
    gamma_from_one(key, stream, shape + (shape < 1)::integer)
    * case when shape < 1 then pow(uniform(key, stream + 24), 1.0 / shape) else 1.0 end;

-- Poisson of mean 4 by its cumulative probabilities; beyond 24 lies less than 1e-11.
create or replace macro poisson_four(u) as (
    (u > 0.018315638888734182)::integer + (u > 0.0915781944436709)::integer
    + (u > 0.23810330555354436)::integer + (u > 0.43347012036670896)::integer
    + (u > 0.6288369351798734)::integer + (u > 0.7851303870304052)::integer
    + (u > 0.8893260215974264)::integer + (u > 0.9488663842071527)::integer
    + (u > 0.9786365655120158)::integer + (u > 0.9918677572030661)::integer
    + (u > 0.9971602338794863)::integer + (u > 0.99908477085273)::integer
    + (u > 0.9997262831771445)::integer + (u > 0.9999236715846567)::integer
    + (u > 0.9999800682725173)::integer + (u > 0.9999951073892801)::integer
    + (u > 0.9999988671684709)::integer + (u > 0.9999997518223981)::integer
    + (u > 0.9999999484121597)::integer + (u > 0.9999999897994779)::integer
    + (u > 0.9999999980769415)::integer + (u > 0.9999999996536013)::integer
    + (u > 0.9999999999402667)::integer + (u > 0.9999999999901216)::integer
);

-- The number of extra things when their mean is m: geometric, as the floor of an exponential of
-- mean `scale`; m = 1 / (exp(1 / scale) - 1).
create or replace macro geometric(u, scale) as floor(-ln(u) * scale)::integer;
create or replace macro geometric_mean(scale) as 1.0 / (exp(1.0 / scale) - 1.0);

-- The hours of a day: 5 % of what happens lies before 07:00. Share passed, and its inverse.
create or replace macro share_of_day(fraction) as
    case when fraction < 7.0 / 24.0 then 0.05 * fraction / (7.0 / 24.0)
         else 0.05 + 0.95 * (fraction - 7.0 / 24.0) / (17.0 / 24.0) end;
create or replace macro fraction_of_day(share) as
    case when share < 0.05 then share / 0.05 * (7.0 / 24.0)
         else 7.0 / 24.0 + (share - 0.05) / 0.95 * (17.0 / 24.0) end;

-- What a customer of `age` days has gone through of a baseline hazard of 1 a day: a Weibull
-- exponent of `ageing`, equal to the age after a year whatever the exponent. And its inverse.
create or replace macro aged(age, ageing) as 365.0 * pow(greatest(age, 0.0) / 365.0, ageing);
create or replace macro age_when(aged_days, ageing) as
    365.0 * pow(greatest(aged_days, 0.0) / 365.0, 1.0 / ageing);

-- The month, 2022-01, of a moment counted in days from the start.
create or replace macro month_name(start_on, moment_day) as
    strftime(start_on::date + floor(moment_day)::integer, '%Y-%m');

-- Truth of a step with hazards `hazard` of leaving and `orders` of ordering, after what lies before.
create or replace macro leaves_first(hazard, orders, hazard_before, orders_before) as
    exp(-hazard_before - orders_before) * hazard / (hazard + orders)
    * (1.0 - exp(-hazard - orders));
create or replace macro orders_lived(hazard, orders, hazard_before) as
    exp(-hazard_before) * orders
    * case when hazard > 1e-12 then (1.0 - exp(-hazard)) / hazard else 1.0 end;
