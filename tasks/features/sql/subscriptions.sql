-- One row a customer and cut-off: the contracts open then.
create or replace temporary table subscriptions_features as
with version as (
    select
        pair.customer_number,
        pair.cutoff_number,
        pair.as_of_day,
        epoch_us(contract.started_at) // 86400000000 as started_day,
        contract.ended_at < pair.as_of as has_ended,
        round(contract.period_amount::double * 10000) as period_amount
    from pair
    inner join {subscriptions} contract
        on contract.customer_id = pair.customer_id
        and contract.started_at < pair.as_of
        and {seen_subscriptions}
    qualify row_number() over (
        partition by pair.customer_number, pair.cutoff_number, contract.subscription_id
        order by contract.received_at desc, contract.batch_number desc, contract.row_number desc
    ) = 1
),
counted as (
    select
        customer_number,
        cutoff_number,
        count(*) filter (has_ended is not true) as open_contracts,
        count(*) filter (has_ended) as ended_contracts,
        max(as_of_day - started_day) filter (has_ended is not true) as contract_age_days,
        max(as_of_day - started_day) as customer_age_days,
        sum(period_amount) filter (has_ended is not true) / 10000 as period_amount
    from version
    group by customer_number, cutoff_number
)
select
    pair.customer_number,
    pair.cutoff_number,
    coalesce(counted.open_contracts, 0) as open_contracts,
    coalesce(counted.ended_contracts, 0) as ended_contracts,
    counted.contract_age_days,
    counted.customer_age_days,
    counted.period_amount
from pair
inner join cutoff using (cutoff_number)
left join counted using (customer_number, cutoff_number)
where cutoff.sees_subscriptions;
