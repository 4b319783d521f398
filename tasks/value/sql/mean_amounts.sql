-- Grain: one row a (days with orders, their mean amount to a hundredth), with its customers.
with person as (
    select
        count(distinct epoch_us(ordered_at) // 86400000000) as order_days,
        sum(net_amount) as amount
    from {orders}
    where ordered_at < $as_of and not is_return
    group by customer_id
)
select
    order_days::double as order_days,
    round(amount::double / order_days, 2) as mean_amount,
    count(*)::double as customers
from person
where amount > 0
group by all
order by all
