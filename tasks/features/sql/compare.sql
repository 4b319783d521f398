-- Grain: one row, the customers of two feature tables at one cut-off and figures a feature.
with before as (
    select *, true as is_before from {before} where as_of = $as_of
),
after as (
    select *, true as is_after from {after} where as_of = $as_of
)
select
    count(*) filter (is_before) as customers_before,
    count(*) filter (is_after) as customers_after,
    count(*) filter (is_before and is_after) as customers_both,
    count(*) filter (is_before and is_after and ({differing})) as customers_moved{figures}
from before
full join after using (customer_id)
