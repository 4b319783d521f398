-- Grain: one row a customer whom a list must know of: contacted or listed lately, or opted out.
create or replace temporary table touched as
with contact as (
    select customer_id, contact_id, contacted_at
    from {contacts}
    where contacted_at < $as_of and contacted_at >= $as_of - to_days($window_days::integer)
    qualify row_number() over (
        partition by contact_id order by received_at desc, batch_number desc, row_number desc
    ) = 1
),
sent as (
    select customer_id, count(*) as contacts, max(contacted_at) as last_contact_at
    from contact
    group by customer_id
),
-- Of each earlier night only the last list went out.
earlier as (
    select arg_max(finding_id, recorded_at) as run_id
    from lake.ledger.findings
    where kind = 'actions' and as_of < $as_of
        and as_of >= $as_of - to_days($window_days::integer)
    group by as_of
),
-- A listing counts until the contact that it led to has come in; then that one counts.
listed as (
    select action.customer_id, count(*) as listings
    from lake.main.customer_actions action
    semi join earlier using (run_id)
    left join sent using (customer_id)
    where not action.held_out
        and (sent.last_contact_at is null or sent.last_contact_at < action.as_of)
    group by action.customer_id
),
-- Every opt-out that the lake holds counts, however new and whatever became of its batch.
gone_out as (
    select distinct customer_id from {every_contact} where opted_out_at is not null
)
select
    customer_id,
    (coalesce(sent.contacts, 0) + coalesce(listed.listings, 0))::bigint as contacts,
    gone_out.customer_id is not null as opted_out
from sent
full join listed using (customer_id)
full join gone_out using (customer_id)
