-- One row an eligible customer and cut-off: whether no order came in the horizon after it.
create or replace temporary table outcome as
with returned as (
    select distinct
        customer_number,
        unnest(range(({horizon_end})::bigint, ({late_day})::bigint)) as cutoff_number
    from order_day
    where lines > 0 and ({horizon_end}) < ({late_day})
)
select
    pair.customer_number,
    pair.cutoff_number,
    returned.customer_number is null as churned
from pair
left join returned using (customer_number, cutoff_number);
