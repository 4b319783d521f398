-- Grain: one row a customer of the chunk: the population with the day on which he leaves for good.
create or replace temp table lives as
with ends as (
    select
        number,
        joined_day + age_when(
            aged(from_day - joined_day, $ageing)
            + (round(endurance * 1099511627776.0) - hazard_units_before) / 1099511627776.0
                / (dropout_rate * multiplier),
            $ageing
        ) as dropped_out_day
    from hazard_pieces
    where
        round(endurance * 1099511627776.0) >= hazard_units_before
        and (
            to_day is null
            or round(endurance * 1099511627776.0) < hazard_units_before + hazard_units
        )
),

last_days as (
    select
        population.*,
        ends.dropped_out_day,
        least(ends.dropped_out_day, $window_days) as last_day
    from population
    join ends on ends.number = population.number
)

select
    last_days.*,
    calendar.passed
        + calendar.mass * share_of_day(last_days.last_day - calendar.day)
        - last_days.joined_passed as lived_passed
from last_days
join calendar on calendar.day = floor(last_days.last_day)::integer
order by last_days.number;
