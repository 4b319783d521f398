-- Grain: one state or look of a rollout, appended and never changed.
insert into lake.ledger.rollouts
    (rollout_id, row_number, row_kind, subject, state, stage, stages_since, as_of, known_by,
     decided_at, reason, plan, terms, plan_hash, evidence, decision_id, actor)
values
    ($rollout_id, $row_number, $row_kind, $subject, $state, $stage, $stages_since, $as_of,
     $known_by, $decided_at, $reason, $plan, $terms, $plan_hash, $evidence, $decision_id, $actor)
