-- Grain: one row, what the best list could bring if one customer could be contacted in part.
with spending as (
    select
        step_cost,
        step_gain,
        efficiency,
        sum(step_cost) over (
            order by efficiency desc, tie, person_number
            rows between unbounded preceding and current row
        ) - step_cost as spent_before
    from step_up
    where not held_out
)
select coalesce(
    sum(
        step_gain::double * least(
            1, greatest(0, ($money::decimal(38, 4) - spent_before)::double / step_cost::double)
        )
    ), 0
)::decimal(18, 4) as gain
from spending
where spent_before < $money::decimal(38, 4)
