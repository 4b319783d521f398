-- One row a batch of an item at its latest state, newest first, at most $shown of them.
with latest as (
    select *
    from lake.ledger.batches
    qualify row_number() over (partition by batch_number order by recorded_at desc) = 1
)

select
    latest.batch_number,
    latest.batch_name,
    latest.content_hash,
    latest.state,
    latest.received_rows,
    latest.accepted_rows,
    latest.quarantined_rows,
    latest.recorded_at,
    latest.report
from latest
join lake.ledger.incident_batches as member using (batch_number)
where member.incident_number = $incident_number
order by latest.batch_number desc
limit $shown
