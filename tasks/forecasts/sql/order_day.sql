-- Grain: one row a customer and day with an order: the day, and that of the next order.
-- Days are counted from 1970-01-01 UTC. Returns are not orders.
create or replace temporary table order_day as
with ordered as (
    select distinct
        customer_id, epoch_us(ordered_at) // 86400000000 as day
    from {orders}
    where ordered_at < $as_of and not is_return
)
select
    customer_id,
    day,
    lead(day) over (partition by customer_id order by day) as next_day
from ordered
