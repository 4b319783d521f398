-- One row an eligible customer and cut-off whose every open contract ended within the horizon.
create or replace temporary table outcome as
with version as (
    select
        pair.customer_number,
        pair.cutoff_number,
        pair.as_of,
        contract.ended_at
    from pair
    inner join {subscriptions} contract
        on contract.customer_id = pair.customer_id
        and contract.started_at < pair.as_of
        and {seen_by_run_subscriptions}
    qualify row_number() over (
        partition by pair.customer_number, pair.cutoff_number, contract.subscription_id
        order by contract.received_at desc, contract.batch_number desc, contract.row_number desc
    ) = 1
)
select
    customer_number,
    cutoff_number,
    bool_and(coalesce(ended_at < as_of + to_days($horizon_days), false)) as churned
from version
where ended_at is null or ended_at >= as_of
group by customer_number, cutoff_number;
