-- Grain: one row, the decision by which a subject's model serves; none before the first.
-- The head of the chain, since a wall clock may step back and each promotion names the one before.
with promotions as (
    select *, evidence ->> 'previous_decision_id' as previous_decision_id
    from lake.ledger.decisions
    where kind in ('promotion', 'rollback') and subject = $subject
)
select decision_id, decided_at, kind, outcome, reason, evidence, snapshot_id, model_name,
       model_version, model_hash, run_id
from promotions
where decision_id not in (
    select previous_decision_id from promotions where previous_decision_id is not null
)
order by decided_at desc
limit 1
