-- Grain: one row a rollout at its latest state, the newest rollout first.
select *
from lake.ledger.rollouts
qualify row_number() over (partition by rollout_id order by row_number desc) = 1
order by min(decided_at) over (partition by rollout_id) desc, rollout_id desc
