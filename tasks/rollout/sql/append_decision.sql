-- Grain: one decision about a rollout, appended and never changed.
insert into lake.ledger.decisions
    (decision_id, decided_at, kind, subject, outcome, reason, evidence, snapshot_id, model_name,
     model_version, model_hash, run_id, actor)
values
    ($decision_id, $decided_at, 'rollout', $rollout_id, $row_kind, $reason, $evidence, $snapshot_id,
     $model_name, try_cast($model_version as integer), $model_hash, null, $actor)
