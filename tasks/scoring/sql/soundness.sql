-- Grain: one row, what is wrong with the staged scores; all counts are 0 when they are sound.
select
    count(*) as customers,
    count(*) - count(distinct customer_id) as repeated,
    count(*) filter (where customer_id is null or customer_id = '') as nameless,
    count(*) filter (where probability is null or not isfinite(probability)) as not_finite,
    count(*) filter (where probability < 0 or probability > 1) as outside,
    count(distinct probability) as different
from scored_customers
