-- Grain: one row a customer of a run, appended and never changed.
insert into lake.main.customer_reasons by name
select
    customer_id,
    $as_of::timestamptz as as_of,
    $known_by::timestamptz as known_by,
    $run_id as run_id,
    driver,
    push,
    agreement_share
from explained_customers
order by customer_id
