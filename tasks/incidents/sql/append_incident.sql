-- One row: a state of an item of the work queue.
insert into lake.ledger.incidents by name
select
    $incident_number::integer as incident_number,
    $cause_key::varchar as cause_key,
    $code::varchar as code,
    $level::varchar as level,
    $source::varchar as source,
    $table_name::varchar as table_name,
    $column_name::varchar as column_name,
    $headline::varchar as headline,
    $state::varchar as state,
    $resolution::varchar as resolution,
    $recorded_at::timestamptz as recorded_at,
    $actor::varchar as actor,
    $reason::varchar as reason,
    $report::json as report
