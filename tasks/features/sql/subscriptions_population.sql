-- One row an eligible customer and cut-off: who has an open contract at the cut-off.
create or replace temporary table pair as
with version as (
    select
        person.customer_number,
        person.customer_id,
        cutoff.*,
        contract.ended_at < cutoff.as_of as has_ended
    from {subscriptions} contract
    inner join person using (customer_id)
    inner join cutoff
        on contract.started_at < cutoff.as_of
        and {seen_subscriptions_cutoff}
    qualify row_number() over (
        partition by contract.customer_id, cutoff.cutoff_number, contract.subscription_id
        order by contract.received_at desc, contract.batch_number desc, contract.row_number desc
    ) = 1
)
select distinct on (customer_number, cutoff_number) * exclude (has_ended)
from version
where has_ended is not true;
