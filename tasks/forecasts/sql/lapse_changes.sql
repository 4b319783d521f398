-- Grain: one row a segment and period: by how much the active, and those of them who leave, change.
-- At a cut-off c a customer is active by their last order before it: day < c <= day + window, and
-- has left if the next order comes a horizon later or never. So each order day stands for a run of
-- cut-offs; only where runs begin and end is counted, and summing up gives the counts.
with visit as (
    select
        customer_id,
        day,
        least(coalesce(next_day, 1000000), day + $activity_window_days::bigint) as active_until,
        least(
            coalesce(next_day, 1000000) - $horizon_days::bigint,
            day + $activity_window_days::bigint
        ) as churned_until
    from order_day
),
span as (
    select
        segment.segment_id,
        {period_of_day} + 1 as first_period,
        {period_of_active_until} as last_active,
        {period_of_churned_until} as last_churned
    from visit
    left join present_segment as segment using (customer_id)
),
change as (
    select segment_id, first_period as period, 1 as active, 0 as churned
    from span where last_active >= first_period
    union all
    select segment_id, last_active + 1, -1, 0 from span where last_active >= first_period
    union all
    select segment_id, first_period, 0, 1 from span where last_churned >= first_period
    union all
    select segment_id, last_churned + 1, 0, -1 from span where last_churned >= first_period
)
select segment_id, period::bigint as period, sum(active)::bigint as active,
    sum(churned)::bigint as churned
from change
group by segment_id, period
order by segment_id, period
