-- Grain: one row a customer of a rollout, on the day of their first contact since they count.
insert into lake.ledger.enrolments
    (customer_id, rollout_id, arm, stage, bucket, entered_at, exposed, fell_back, scoring_id)
with begun as (
    select unnest(range(len($stages_since::timestamptz[])::bigint)) as stage,
           unnest($stages_since::timestamptz[]) as since
),
contact as (
    select customer_id, contact_id, contacted_at
    from {contacts}
    where contacted_at < $as_of
    qualify row_number() over (
        partition by contact_id order by received_at desc, batch_number desc, row_number desc
    ) = 1
),
first_contact as (
    select turn.customer_id, min(contact.contacted_at) as contacted_at
    from turn
    inner join begun using (stage)
    inner join contact on contact.customer_id = turn.customer_id
        and contact.contacted_at >= begun.since
    where turn.is_counted
    group by turn.customer_id
)
select
    turn.customer_id,
    $rollout_id,
    turn.arm,
    turn.stage,
    turn.bucket,
    date_trunc('day', first_contact.contacted_at),
    true,
    false,
    null
from turn
inner join first_contact using (customer_id)
where turn.customer_id not in (
    select customer_id from lake.ledger.enrolments where rollout_id = $rollout_id
)
order by turn.customer_id
