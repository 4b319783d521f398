-- Grain: one decision, appended and never changed.
insert into lake.ledger.decisions
    (decision_id, decided_at, kind, subject, outcome, reason, evidence, snapshot_id, model_name,
     model_version, model_hash, run_id, actor)
values
    ($decision_id, $decided_at, $kind, $subject, $outcome, $reason, $evidence, $snapshot_id,
     $model_name, $model_version, $model_hash, $run_id, 'holdfast')
