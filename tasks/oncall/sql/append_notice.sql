-- One row: what became of the tries to tell one channel of one item.
insert into lake.ledger.notices by name
select
    $incident_number::integer as incident_number,
    $channel::varchar as channel,
    $state::varchar as state,
    $attempts::integer as attempts,
    $detail::varchar as detail,
    $recorded_at::timestamptz as recorded_at
