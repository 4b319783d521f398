-- Grain: one row an eligible customer of a cut-off with what they did in the horizon after it.
-- Returns are not orders, and are taken off no spend: as in the features and in churn. `lot` is
-- even in 0 to 1 and the same for a customer at every cut-off; the order of the rows means nothing.
with bought as (
    select
        customer_id,
        sum(net_amount) as spend,
        bool_or(ordered_at < $as_of + to_days($churn_days::integer)) as ordered_soon,
        count(distinct epoch_us(ordered_at) // 86400000000) as order_days
    from {orders}
    where ordered_at >= $as_of
        and ordered_at < $as_of + to_days($horizon_days::integer)
        and not is_return
    group by customer_id
)
select
    {columns},
    greatest(coalesce(bought.spend, 0), 0)::double as holdfast_spend,
    coalesce(bought.ordered_soon, false) as holdfast_ordered_soon,
    coalesce(bought.order_days, 0)::double as holdfast_order_days,
    (hash(features.customer_id) / 18446744073709551615.0)::double as holdfast_lot
from (select * from {features} where as_of = $as_of) as features
left join bought using (customer_id)
order by hash(features.customer_id), features.customer_id
limit $maximum_rows::bigint
