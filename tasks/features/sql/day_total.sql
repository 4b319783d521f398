-- One row a day (UTC, days since 1970) and number of cut-offs that cannot see it: all lines bought.
create or replace temporary table day_total as
with dated as (
    select
        (epoch_us(ordered_at) // 86400000000)::integer as day,
        {seen_day} as seen_day
    from {lines}
    where {wanted} and not is_return
),
counted as (
    select day, seen_day, count(*)::double as lines
    from dated
    group by day, seen_day
)
select day, {late} as late, sum(lines) as lines
from counted
group by day, {late};
