-- One row: customers of a static set, and how many of them left.
with person as (
    select customer_id, arg_max(churned, observed_at) as churned
    from {seen}
    where observed_at < $cutoff
    group by customer_id
)
select
    count(*) as customers,
    count(*) filter (churned) as churners,
    count(*) as customers_if_known
from person;
