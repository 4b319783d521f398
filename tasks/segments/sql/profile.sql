-- Grain: one segment of the night's customers, with what is known of them.
with member as (
    select assigned.customer_id, assigned.segment_id, assigned.value_amount as spent_amount
    from current_customers as assigned
),
risk as (
    {risk}
),
worth as (
    {worth}
),
outcome as (
    select segment_id, avg(churned) as churn_share
    from assigned_customers
    where as_of = $taught
    group by segment_id
)
select
    member.segment_id,
    count(*) as customers,
    avg(risk.probability) as risk_share,
    any_value(outcome.churn_share) as churn_share,
    round(sum(coalesce(member.spent_amount, 0))::decimal(18, 4), 2) as spent_amount,
    round(sum(coalesce(worth.amount, 0))::decimal(18, 4), 2) as value_amount,
    round(sum(coalesce(risk.at_risk_amount, 0))::decimal(18, 4), 2) as at_risk_amount
from member
left join risk using (customer_id)
left join worth using (customer_id)
left join outcome using (segment_id)
group by member.segment_id
order by value_amount desc, member.segment_id
