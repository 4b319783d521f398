-- Grain: one row, counts over rows of customers at cut-offs: leavers at the first cut-off after
-- which they were gone, stayers at each after which they were not.
with outcome as (
    select
        *,
        row_number() over (partition by customer_id, churned order by as_of) as turn
    from {table}
    where churned is not null
)

select
    count(*) filter (churned) as leavers,
    count(*) filter (not churned) as stayers,
    {counted}
from outcome
where not churned or turn = 1
