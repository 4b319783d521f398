-- Grain: one row a customer of the newest cut-off, with their segment if they were put into one.
select
    customer.customer_id,
    customer.value_amount::double as holdfast_value,
    segment.segment_id as holdfast_segment{features}
from {table} customer
left join (
    select customer_id, segment_id from lake.main.customer_segments where run_id = $segments_run
) segment on segment.customer_id = customer.customer_id
where customer.as_of = $as_of
order by customer.customer_id
