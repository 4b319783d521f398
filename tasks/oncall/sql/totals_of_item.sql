-- One row: the batches of an item, how many still stand aside, and their rows.
with latest as (
    select *
    from lake.ledger.batches
    qualify row_number() over (partition by batch_number order by recorded_at desc) = 1
),

member as (
    select distinct batch_number
    from lake.ledger.incident_batches
    where incident_number = $incident_number
)

select
    count(*) as batches,
    count(*) filter (where latest.state = 'quarantined') as batches_aside,
    coalesce(sum(latest.received_rows), 0)::bigint as received_rows,
    coalesce(sum(latest.quarantined_rows), 0)::bigint as quarantined_rows,
    max(latest.batch_number) as newest_batch_number
from latest
join member using (batch_number)
