-- Grain: one customer of this run.
insert into lake.main.customer_segments
    (customer_id, as_of, known_by, run_id, segmentation_id, segment_id, segment_name)
select
    assigned.customer_id,
    assigned.as_of,
    $known_by,
    $run_id,
    $segmentation_id,
    assigned.segment_id,
    $segment_names[list_position($segment_ids, assigned.segment_id)]
from current_customers as assigned
order by assigned.customer_id
