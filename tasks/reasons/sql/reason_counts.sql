-- Grain: one row a segment and driver (NULL: no stable reason), over the explained customers.
select
    coalesce(segment.segment_id, $everybody) as segment_id,
    explained.driver,
    count(*) as customers,
    coalesce(sum({at_risk}), 0)::decimal(18, 4) as at_risk_amount
from explained_customers explained
left join (
    select customer_id, segment_id from lake.main.customer_segments where run_id = $segments_run
) segment on segment.customer_id = explained.customer_id
{join_scores}
group by all
order by segment_id, explained.driver nulls last
