-- Grain: one row a segment and period: what was spent, less what was given back.
with line as (
    select customer_id, epoch_us(ordered_at) // 86400000000 as day, net_amount
    from {orders}
    where ordered_at < $as_of
)
select segment.segment_id, ({period_of_day})::bigint as period,
    sum(line.net_amount)::decimal(38, 4) as amount
from line
left join present_segment as segment using (customer_id)
group by all
order by all
