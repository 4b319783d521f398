-- Grain: one row a kind of file of a scoring run, the newest.
select kind, path, sha256, rows
from lake.ledger.exports
where export_id = $scoring_id
qualify row_number() over (partition by kind order by exported_at desc) = 1
