-- Grain: one row a scored customer and cut-off: whether every open contract ended in the horizon.
create or replace temporary table scored_outcome as
with asked as (
    select distinct customer_id, as_of from {scored}
),
version as (
    select asked.customer_id, asked.as_of, contract.ended_at
    from asked
    inner join {seen} as contract
        on contract.customer_id = asked.customer_id
        and contract.started_at < asked.as_of
    qualify row_number() over (
        partition by asked.customer_id, asked.as_of, contract.subscription_id
        order by contract.received_at desc, contract.batch_number desc, contract.row_number desc
    ) = 1
)
select
    customer_id,
    as_of,
    bool_and(coalesce(ended_at < as_of + to_days($horizon_days::integer), false)) as churned
from version
where ended_at is null or ended_at >= as_of
group by customer_id, as_of
