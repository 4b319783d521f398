-- One row a customer and day with an order: for counting who is eligible, and who leaves, quickly.
create or replace temporary table activity as
select
    customer_id,
    (epoch_us(ordered_at) // 86400000000)::integer as day,
    min(received_at) as received_at
from {seen}
where not is_return and ordered_at < $as_of
group by customer_id, day;
