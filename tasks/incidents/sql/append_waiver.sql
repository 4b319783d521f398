-- One row: a waiver as it was granted.
insert into lake.ledger.waivers by name
select
    $waiver_id::varchar as waiver_id,
    $incident_number::integer as incident_number,
    $source::varchar as source,
    $rules::varchar[] as rules,
    $effect::varchar as effect,
    $batch_name::varchar as batch_name,
    $content_hash::varchar as content_hash,
    $row_numbers::bigint[] as row_numbers,
    $reason::varchar as reason,
    $author::varchar as author,
    $approved_by::varchar as approved_by,
    $granted_at::timestamptz as granted_at,
    $ends_at::timestamptz as ends_at
where not exists (from lake.ledger.waivers where waiver_id = $waiver_id)
