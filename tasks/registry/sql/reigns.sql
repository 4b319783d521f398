-- Grain: one row a reign, the newest first: each promotion or rollback with its distance from the
-- head of the chain, since a wall clock may step back and each one names the one before.
with recursive decided as (
    select decision_id, decided_at, kind, reason, evidence, snapshot_id, model_name, model_version,
           model_hash, run_id, actor, evidence ->> 'previous_decision_id' as previous_decision_id
    from lake.ledger.decisions
    where kind in ('promotion', 'rollback') and subject = $subject
),
reigns as (
    select *, 0 as place
    from decided
    where decision_id = $head
    union all
    select decided.*, reigns.place + 1
    from reigns
    join decided on decided.decision_id = reigns.previous_decision_id
)
select * from reigns order by place
