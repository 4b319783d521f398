-- Grain: at most one row, the newest scoring of a cut-off.
select scored.scoring_id
from (
    select distinct scoring_id from lake.main.scores where as_of = $as_of
) as scored
inner join lake.ledger.exports as exported
    on exported.export_id = scored.scoring_id and exported.kind = 'scores.parquet'
group by scored.scoring_id
order by max(exported.exported_at) desc, scored.scoring_id
limit 1
