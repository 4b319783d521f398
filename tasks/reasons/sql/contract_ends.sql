-- Grain: one row a customer who had an open contract at $since_day, with $newcomers also who
-- opened one after it. The end is when the last of
-- their contracts ended; missing: one is open at $as_of_day. Days are UTC, since 1970.
with version as (
    select
        customer_id,
        subscription_id,
        (epoch_us(started_at) // 86400000000)::integer as start_day,
        case when ended_at < $as_of then (epoch_us(ended_at) // 86400000000)::integer end
            as end_day
    from {seen}
    where started_at < $as_of
    qualify row_number() over (
        partition by customer_id, subscription_id
        order by received_at desc, batch_number desc, row_number desc
    ) = 1
)

select
    customer_id,
    case when bool_and(end_day is not null) then max(end_day) end as end_day
from version
group by customer_id
having
    bool_or(
        (start_day < $since_day or $newcomers) and coalesce(end_day, $as_of_day) >= $since_day
    )
order by customer_id
