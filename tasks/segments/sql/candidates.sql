-- Grain: one segmentation that was found beside the one that serves, the newest first.
select decision_id, decided_at, outcome, reason, evidence, snapshot_id, model_version, model_hash,
       run_id
from lake.ledger.decisions
where kind = 'candidate' and subject = $subject
order by decided_at desc
