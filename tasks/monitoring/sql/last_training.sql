-- Grain: one row, the newest word of the gate about the churn model; none before the first.
select decided_at, outcome, reason
from lake.ledger.decisions
where kind = 'gate' and (subject = $model_name or model_name = $model_name)
order by decided_at desc
limit 1
