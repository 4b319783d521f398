-- Grain: one row, the scoring run that was exported last; none before the first.
select export_id, exported_at
from lake.ledger.exports
where kind = 'scores.csv'
order by exported_at desc
limit 1
