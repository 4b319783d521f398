-- One row a customer: the gaps between order days, in order.
create or replace temporary table order_gaps as
select
    customer_number,
    -- Sorting the finished list is much cheaper than collecting in order.
    list_transform(
        list_sort(list(order_days * 65536::bigint + last_gap_days)), lambda item: item % 65536
    ) as gaps
from order_state
where last_gap_days is not null
group by customer_number;
