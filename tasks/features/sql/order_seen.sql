-- One row a customer and cut-off: the state after the newest order day that the cut-off sees.
create or replace temporary table order_seen as
with spread as (
    select *, unnest(range(late::bigint, next_late::bigint)) as cutoff_number
    from order_state
    where next_late > late
),
gaps as (
    select customer_number, list(last_gap_days order by order_days) as gap_list
    from order_state
    where last_gap_days is not null
    group by customer_number
)
select
    spread.* exclude (late, next_late),
    list_median(gaps.gap_list[1:spread.order_days - 1]) as median_gap_days
from spread
inner join cutoff using (cutoff_number)
left join gaps using (customer_number)
where {eligible};
