-- Grain: one row, the run that last put the customers of a cut-off into segments; none without one.
select finding_id as run_id
from lake.ledger.findings
where
    kind = 'segments'
    and as_of = $as_of
    and finding_id in (select distinct run_id from lake.main.customer_segments where as_of = $as_of)
order by recorded_at desc
limit 1
