-- One row: customers with an open contract at one cut-off, and how many ended all in the horizon.
with person as (
    select
        customer_id,
        bool_and(coalesce(ended_day < $cutoff_day + $horizon_days, false)) as has_left,
        bool_or(received_at <= $known_by) as eligible
    from contract
    where started_day < $cutoff_day and coalesce(ended_day >= $cutoff_day, true)
    group by customer_id
)
select
    count(*) filter (eligible) as customers,
    count(*) filter (eligible and has_left) as churners,
    count(*) as customers_if_known
from person;
