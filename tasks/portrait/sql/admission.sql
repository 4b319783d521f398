-- Grain: one row, the gate's decision that let the champion in; none where it cannot be told.
select outcome, evidence::varchar as evidence, decided_at
from lake.ledger.decisions
where kind = 'gate' and model_name = $model_name and model_version = $model_version
    and outcome in ('promote', 'serve_rule')
order by decided_at desc
limit 1
