-- One row a customer and cut-off with an order in the horizon after it: who has not lapsed.
create or replace temporary table outcome as
select distinct
    customer_number,
    unnest(range(({horizon_end})::bigint, ({late_day})::bigint)) as cutoff_number,
    false as churned
from order_day
where lines > 0 and ({horizon_end}) < ({late_day});
