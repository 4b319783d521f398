-- Grain: one row a scored customer and cut-off: whether no order came in the horizon after it.
create or replace temporary table scored_outcome as
with asked as (
    select distinct customer_id, as_of from {scored}
),
came_back as (
    select distinct asked.customer_id, asked.as_of
    from asked
    inner join {seen} as bought
        on bought.customer_id = asked.customer_id
        and bought.ordered_at >= asked.as_of
        and bought.ordered_at < asked.as_of + to_days($horizon_days::integer)
    where not bought.is_return
)
select asked.customer_id, asked.as_of, came_back.customer_id is null as churned
from asked
left join came_back using (customer_id, as_of)
