-- Grain: one row a customer and lot of one action, in a fixed order.
select
    customer_id,
    decided_at,
    lot,
    source,
    lot_share,
    treated,
    lapsed::integer::double as lapsed,
    margin_amount,
    segment_id,
    driver,
    dense_rank() over (order by source, lot) - 1 as lot_number,
    dense_rank() over (order by customer_id) - 1 as customer_number
from trial
where listed_for = $listed_for and action = $action
order by source, lot, customer_id
