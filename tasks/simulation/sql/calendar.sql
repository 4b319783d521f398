-- Grain: one row a day. `mass` is the factor of all purchase rates on that day; `passed` its sum before.
create or replace table calendar as
with days as (
    select
        range::integer as day,
        ($start_on::date + range::integer) as date
    from range($calendar_days::bigint)
),

factors as (
    select
        day,
        date,
        1.0 + $yearly_amplitude
            * cos(2.0 * pi() * (dayofyear(date) - $peak_day) / 365.25) as yearly_factor,
        list_extract($weekday_factors::double[], isodow(date))
            / list_avg($weekday_factors::double[]) as weekday_factor,
        case
            when
                case
                    when $holiday_from <= $holiday_to
                        then strftime(date, '%m-%d') between $holiday_from and $holiday_to
                    else
                        strftime(date, '%m-%d') >= $holiday_from
                        or strftime(date, '%m-%d') <= $holiday_to
                end
                then $holiday_factor
            else 1.0
        end as holiday_factor
    from days
),

-- Decimals, because their sum is the same in any order.
masses as (
    select
        day,
        date,
        (yearly_factor * weekday_factor * holiday_factor)::decimal(12, 9) as mass
    from factors
)

select
    day,
    date,
    mass::double as mass,
    (sum(mass) over (order by day) - mass)::double as passed
from masses
order by day;
