-- One row a customer and day on which a category or a channel was bought for the first time.
create or replace temporary table first_seen as
with category_day as (
    select customer_id, min((epoch_us(ordered_at) // 86400000000)::integer) as day
    from {lines}
    where {wanted} and not is_return and category is not null
    group by customer_id, category
),
channel_day as (
    select customer_id, min((epoch_us(ordered_at) // 86400000000)::integer) as day
    from {lines}
    where {wanted} and not is_return and channel is not null
    group by customer_id, channel
),
counted as (
    select customer_id, day, count(*) as categories, 0 as channels
    from category_day
    group by customer_id, day
    union all
    select customer_id, day, 0, count(*)
    from channel_day
    group by customer_id, day
)
select
    customer_id,
    day,
    sum(categories)::double as new_categories,
    sum(channels)::double as new_channels
from counted
group by customer_id, day;
