-- Grain: one row a learner, of each action the newest few that a study of the ledger refers to.
-- A run that was recalled stands in the ledger again, and is the newest of its night again.
with study as (
    select as_of, recorded_at, unnest(from_json(content -> '$.studies', '["JSON"]')) as told
    from lake.ledger.findings
    where kind = 'uplift'
),
learner as (
    select
        told ->> '$.listed_for' as listed_for,
        told ->> '$.action' as action,
        told ->> '$.kept.model_hash' as model_hash,
        max(row(as_of, recorded_at)) as last_named
    from study
    where told ->> '$.kept.model_hash' is not null
    group by all
)
select model_hash
from learner
qualify row_number() over (partition by listed_for, action order by last_named desc) <= $keep
