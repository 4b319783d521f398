-- Grain: one row a (frequency, recency, age) in days, how many customers share it, as of a cut-off.
-- A day with orders is one order: two on one day are one visit to the model, as to the features.
with order_day as (
    select distinct customer_id, (epoch_us(ordered_at) // 86400000000)::integer as day
    from {orders}
    where ordered_at < $as_of and not is_return
),
person as (
    select
        count(*) - 1 as frequency,
        max(day) - min(day) as recency_days,
        $as_of_day::integer - min(day) as age_days
    from order_day
    group by customer_id
)
select
    frequency::double as frequency,
    recency_days::double as recency_days,
    age_days::double as age_days,
    count(*)::double as customers
from person
group by all
order by all
