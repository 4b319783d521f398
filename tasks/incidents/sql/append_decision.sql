-- One row: what a person decided about an item, once; the id is made of what was decided.
insert into lake.ledger.decisions by name
select
    $decision_id::varchar as decision_id,
    $decided_at::timestamptz as decided_at,
    'oncall' as kind,
    $subject::varchar as subject,
    $outcome::varchar as outcome,
    $reason::varchar as reason,
    $evidence::json as evidence,
    $actor::varchar as actor
where not exists (from lake.ledger.decisions where decision_id = $decision_id)
