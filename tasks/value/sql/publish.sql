-- Grain: one row a customer of a run, appended and never changed.
insert into lake.main.customer_values by name
select
    customer_id,
    $as_of::timestamptz as as_of,
    $known_by::timestamptz as known_by,
    $run_id as run_id,
    $method as method,
    $horizon_days::integer as horizon_days,
    expected_orders,
    spend::decimal(18, 4) as spend_amount,
    value::decimal(18, 4) as value_amount,
    low::decimal(18, 4) as low_amount,
    high::decimal(18, 4) as high_amount,
    alive_probability,
    churn_probability,
    contradiction,
    $currency as currency
from value_rows
order by customer_id
