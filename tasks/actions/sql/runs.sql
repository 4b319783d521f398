-- Grain: one row, the newest run of each family for a cut-off; NULL where there is none.
select
    arg_max(finding_id, recorded_at) filter (kind = 'value') as values_id,
    arg_max(finding_id, recorded_at) filter (kind = 'segments') as segments_id,
    arg_max(finding_id, recorded_at) filter (kind = 'reasons') as reasons_id,
    arg_max(finding_id, recorded_at) filter (kind = 'uplift') as uplift_id
from lake.ledger.findings
where as_of = $as_of
