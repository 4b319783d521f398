-- Grain: one customer of this run.
insert into lake.main.customer_segments
    (customer_id, as_of, known_by, run_id, segmentation_id, segment_id, segment_name)
select
    assigned.customer_id,
    assigned.as_of,
    $known_by,
    $run_id,
    -- By whose groups: the challenger's where a rollout has given it the customer and it answered.
    case when arm.customer_id is null then $segmentation_id else $challenger_id::varchar end,
    assigned.segment_id,
    $segment_names[list_position($segment_ids, assigned.segment_id)]
from current_customers as assigned
left join arm_segments as arm using (customer_id)
order by assigned.customer_id
