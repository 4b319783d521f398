-- Grain: one row, whether a rollout of a model takes over customers just now.
select count(*) filter (state in ('running', 'held')) > 0 as has_rollout
from (
    select state
    from lake.ledger.rollouts
    where subject = 'churn'
    qualify row_number() over (partition by rollout_id order by row_number desc) = 1
)
