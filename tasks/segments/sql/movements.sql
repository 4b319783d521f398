-- Grain: one pair of segments, before and now; 'new' and 'gone' are the outside.
with before as (
    select customer_id, segment_id from lake.main.customer_segments where run_id = $previous
),
now as (
    select customer_id, segment_id from current_customers
)
select
    coalesce(before.segment_id, 'new') as from_id,
    coalesce(now.segment_id, 'gone') as to_id,
    count(*) as customers
from before
full join now using (customer_id)
group by 1, 2
order by 1, 2
