-- Grain: one row a customer who was there at $since_day: who had ordered within the horizon before;
-- with $newcomers also who came, or came back, after it.
-- The end is when their first pause from then on has outlasted the horizon; missing: not by
-- $as_of_day. Returns are not orders. Days are UTC, since 1970.
with order_day as (
    select distinct customer_id, (epoch_us(ordered_at) // 86400000000)::integer as day
    from {seen}
    where not is_return and ordered_at < $as_of
),

pause as (
    select
        customer_id,
        day,
        coalesce(lead(day) over (partition by customer_id order by day), $as_of_day) - day
            as pause_days
    from order_day
),

present as (
    select
        customer_id,
        coalesce(
            max(day) filter (day < $since_day),
            case when $newcomers then min(day) filter (day >= $since_day) end
        ) as from_day
    from order_day
    where day > $since_day - $horizon_days
    group by customer_id
    having from_day is not null
)

select
    present.customer_id,
    min(pause.day + $horizon_days) filter (where pause.pause_days > $horizon_days) as end_day
from present
inner join pause on pause.customer_id = present.customer_id and pause.day >= present.from_day
group by present.customer_id
order by present.customer_id
