-- Grain: one row, the scoring run of a cut-off that was exported last; none if it was not scored.
select export_id as scoring_id
from lake.ledger.exports
where
    kind = 'scores.parquet'
    and export_id in (select distinct scoring_id from lake.main.scores where as_of = $as_of)
order by exported_at desc
limit 1
