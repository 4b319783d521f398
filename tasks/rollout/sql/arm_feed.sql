-- Grain: one row an arm: until when its customers' orders are in, and how many a day there were.
-- By its own rate up to then, so many should have ordered since: a feed that is late for one arm.
with active as (
    select distinct enrolled.arm, enrolled.customer_id, line.ordered_at::date as day
    from enrolled
    inner join {orders} as line on line.customer_id = enrolled.customer_id
    where not enrolled.is_crossed and not line.is_return and line.ordered_at < $as_of
        and line.ordered_at >= $as_of - to_days(2 * $rate_days::integer)
),
newest as (
    select arm, max(day) as newest_day
    from active
    group by arm
)
select
    newest.arm,
    newest.newest_day,
    datediff('day', newest.newest_day, $as_of::date) - 1 as silent_days,
    count(*) / $rate_days::double as orders_a_day
from newest
inner join active
    on active.arm = newest.arm and active.day > newest.newest_day - $rate_days::integer
group by newest.arm, newest.newest_day
order by newest.arm
