-- Grain: one customer of the challenger's arm tonight whom its segmentation has grouped.
-- The relation challenged has one row a customer of the newest and of the taught cut-off: customer_id,
-- as_of, segment_id.
create or replace temporary table arm_segments as
select challenged.customer_id, challenged.segment_id
from challenged
inner join turn using (customer_id)
where turn.is_served and challenged.as_of = $as_of;

-- Of the groups that only it knows it says who was in them; the others are the champion's.
insert into assigned_customers by name
select customer_id, as_of, segment_id, value_amount, churned
from challenged
where as_of = $taught and as_of < $as_of
    and segment_id not in (select distinct segment_id from assigned_customers where as_of = $taught);

update current_customers
set segment_id = arm_segments.segment_id
from arm_segments
where arm_segments.customer_id = current_customers.customer_id
