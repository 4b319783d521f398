-- Grain: one row, the newest decision of the gate about the model; none before the first.
select decision_id, decided_at, kind, outcome, reason, model_version, model_hash, run_id
from lake.ledger.decisions
where subject = $subject and kind = 'gate'
order by decided_at desc
limit 1
