-- Grain: one customer of the run that was published last.
select customer_id, segment_id
from lake.main.customer_segments
where run_id = (
    select finding_id
    from lake.ledger.findings
    where kind = 'segments'
    order by recorded_at desc
    limit 1
)
order by customer_id
