-- Grain: one row a kind of findings: the run of its newest cut-off that was recorded last.
select kind, finding_id, as_of
from lake.ledger.findings
qualify row_number() over (partition by kind order by as_of desc, recorded_at desc) = 1
order by kind
