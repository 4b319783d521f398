-- One row a day (UTC, days since 1970) and number of cut-offs that cannot see it: all lines bought.
create or replace temporary table day_total as
with dated as (
    select
        *,
        (epoch_us(ordered_at) // 86400000000)::integer as day,
        {seen_day} as seen_day
    from {lines}
    where {wanted}
)
select day, {late} as late, (count(*) filter (not is_return))::double as lines
from dated
group by day, late;
