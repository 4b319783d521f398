-- One row: eligible customers at one cut-off, and how many of them had left a horizon later.
with person as (
    select
        customer_id,
        bool_or(day >= $cutoff_day) as came_back,
        bool_or(
            day < $cutoff_day and day >= $cutoff_day - $activity_window_days
            and received_at <= $known_by
        ) as eligible,
        bool_or(day < $cutoff_day and day >= $cutoff_day - $activity_window_days)
            as eligible_if_known
    from activity
    where day < $cutoff_day + $horizon_days
    group by customer_id
)
select
    count(*) filter (eligible) as customers,
    count(*) filter (eligible and not came_back) as churners,
    count(*) filter (eligible_if_known) as customers_if_known
from person;
