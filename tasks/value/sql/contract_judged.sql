-- Grain: one row a customer of a past cut-off: age of their oldest open contract, what a period
-- costs, and what they paid in the horizon by the days that each contract stayed open.
with contract as (
    select customer_id, started_at, ended_at, period_amount
    from {subscriptions}
    where started_at < $as_of
    qualify row_number() over (
        partition by customer_id, subscription_id
        order by received_at desc, batch_number desc, row_number desc
    ) = 1
),
paid as (
    select
        customer_id,
        sum(
            period_amount::double * (
                least(
                    coalesce(epoch_us(ended_at), 9223372036854775807) / 86400000000.0,
                    $as_of_day + $horizon_days
                ) - $as_of_day
            ) / $period_days::double
        ) as spend
    from contract
    where ended_at is null or ended_at >= $as_of
    group by customer_id
)
select
    features.contract_age_days as age_days,
    greatest(coalesce(features.value_amount, 0), 0)::double as period_amount,
    greatest(coalesce(paid.spend, 0), 0)::double as spend
from (select * from {features} where as_of = $as_of) as features
left join paid using (customer_id)
where features.contract_age_days is not null
order by hash(features.customer_id), features.customer_id
limit $maximum_rows::bigint
