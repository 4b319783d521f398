-- Grain: one row a night of a rollout's challenger arm, the newest first; a night's last run counts.
select as_of, assigned, fell_back, failure
from lake.ledger.servings
where rollout_id = $rollout_id and arm = 'challenger'
qualify row_number() over (partition by as_of order by recorded_at desc) = 1
order by as_of desc
