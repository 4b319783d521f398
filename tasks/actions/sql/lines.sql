-- Grain: one row an action and segment of a list: how many are contacted, at what cost, and the
-- level that the least sure of them rests on.
select
    action,
    any_value(action_name) as action_name,
    any_value(action_name_ko) as action_name_ko,
    any_value(channel) as channel,
    segment_id,
    count(*) as customers,
    sum(planned_cost_amount)::decimal(18, 4) as cost_amount,
    sum(expected_return_amount)::decimal(18, 4) as expected_return_amount,
    coalesce(min(evidence_level), 0) as evidence_level,
    count(*) filter (evidence_basis = 'own_uplift') as own_uplift_customers
from {rows}
where listed_for = $listed_for and not held_out
group by action, segment_id
order by expected_return_amount desc, action, segment_id
