-- One row a cut-off: how busy its coming horizon was one year before, and where it is in the year.
create or replace temporary table season as
with history as (
    select
        cutoff.cutoff_number,
        cutoff.as_of_day,
        min(day_total.day) as first_day,
        coalesce(sum(day_total.lines) filter (day_total.day >= cutoff.as_of_day - 365), 0)
            as year_lines,
        coalesce(
            sum(day_total.lines) filter (
                day_total.day >= cutoff.as_of_day - 365
                and day_total.day < cutoff.as_of_day - 365 + $horizon_days
            ), 0
        ) as coming_lines
    from cutoff
    left join day_total
        on day_total.day < cutoff.as_of_day and day_total.late <= cutoff.cutoff_number
    group by cutoff.cutoff_number, cutoff.as_of_day
)
select
    cutoff_number,
    -- Without a whole year of history nothing is known of the coming season: NULL, not 1.
    case
        when first_day <= as_of_day - 365 and year_lines > 0
        then (coming_lines / $horizon_days) / (year_lines / 365)
    end as season_index,
    -- Rounded: sine and cosine may differ in the last bit between machines.
    round(sin(2 * pi() * as_of_day / 365.2425), 9) as year_sine,
    round(cos(2 * pi() * as_of_day / 365.2425), 9) as year_cosine
from history;
