-- Grain: one order, or one session, of a customer while he stays.
-- A Poisson process in operational time, which passes as the seasons say: blocks of mean 4, each
-- with its own count and uniform places. What a block holds does not depend on when he leaves.
create or replace temp table {table} as
with expected as (
    select *, purchase_rate * $rate_factor as rate, purchase_rate * $rate_factor * lived_passed as expected
    from lives
),

blocks as (
    select
        number, key, expected, rate, joined_passed, home_channel, favourite, quantity_scale,
        discount_share,
        unnest(range(ceil(expected / 4.0)::bigint)) as block
    from expected
),

keyed as (
    select *, part_key(key, $block_stream + block) as block_key from blocks
),

counted as (
    select *, unnest(range(poisson_four(uniform(block_key, 0)))) as position from keyed
),

placed as (
    select
        number, home_channel, favourite, quantity_scale, discount_share,
        block * 32 + position + 1 as arrival,
        part_key(block_key, position + 1) as arrival_key,
        joined_passed + 4.0 * (block + uniform(block_key, position + 100)) / rate as passed
    from counted
    where 4.0 * (block + uniform(block_key, position + 100)) < expected
),

timed as (
    select
        placed.*,
        clockwork.day + (placed.passed >= clockwork.next_passed)::integer as whole_days,
        case
            when placed.passed < clockwork.next_passed
                then fraction_of_day((placed.passed - clockwork.passed) / clockwork.mass)
            else fraction_of_day((placed.passed - clockwork.next_passed) / clockwork.next_mass)
        end as fraction
    from placed
    join clockwork on clockwork.cell = floor(placed.passed / $cell_width)::integer
)

select
    number, arrival, arrival_key, whole_days + fraction as at_day, home_channel, favourite,
    quantity_scale, discount_share
from timed;
