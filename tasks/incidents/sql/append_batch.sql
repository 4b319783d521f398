-- One row: a batch that shares the cause of an item, once.
insert into lake.ledger.incident_batches by name
select
    $incident_number::integer as incident_number,
    $batch_number::integer as batch_number,
    $recorded_at::timestamptz as recorded_at
where not exists (
    from lake.ledger.incident_batches
    where incident_number = $incident_number and batch_number = $batch_number
)
