-- Grain: one row a (entry, exit, ended) in days of age: contracts seen in the window before a
-- cut-off, and how many share it. What ended before the window tells of older times.
with contract as (
    select
        started_at,
        case when ended_at < $as_of then ended_at end as ended_at
    from {subscriptions}
    where started_at < $as_of
    qualify row_number() over (
        partition by customer_id, subscription_id
        order by received_at desc, batch_number desc, row_number desc
    ) = 1
),
spell as (
    select
        epoch_us(started_at) // 86400000000 as start_day,
        epoch_us(coalesce(ended_at, $as_of)) // 86400000000 as end_day,
        ended_at is not null as ended
    from contract
)
select
    greatest($as_of_day - $window_days - start_day, 0)::double as entry_days,
    (end_day - start_day)::double as exit_days,
    ended,
    count(*)::double as customers
from spell
where end_day >= $as_of_day - $window_days and end_day > start_day
group by all
order by all
