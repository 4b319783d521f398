-- One row a contract as the run knows it: for counting who is eligible, and who leaves, quickly.
create or replace temporary table contract as
select
    customer_id,
    (epoch_us(started_at) // 86400000000)::integer as started_day,
    (epoch_us(ended_at) // 86400000000)::integer as ended_day,
    first_received_at as received_at
from (
    select
        *,
        min(received_at) over (partition by customer_id, subscription_id) as first_received_at
    from {seen}
    where started_at < $as_of
    qualify row_number() over (
        partition by customer_id, subscription_id
        order by received_at desc, batch_number desc, row_number desc
    ) = 1
);
