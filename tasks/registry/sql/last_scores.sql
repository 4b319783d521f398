-- Grain: one row, when scores were last exported; none before the first.
select max(exported_at) as exported_at
from lake.ledger.exports
where kind = 'scores.csv'
