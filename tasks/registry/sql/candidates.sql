-- Grain: one row a model that the gate let in as a candidate for a rollout, the newest first.
select decision_id, decided_at, kind, outcome, reason, evidence, snapshot_id, model_name,
       model_version, model_hash, run_id
from lake.ledger.decisions
where kind = 'candidate' and subject = $subject
qualify row_number() over (partition by model_version, model_hash order by decided_at desc) = 1
order by decided_at desc, model_version desc
