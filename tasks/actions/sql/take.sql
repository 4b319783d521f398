-- Grain: one row a step that the money still pays for, best for the money first.
-- Who is held out takes their place in the same order and costs nothing, so that those held out
-- are chosen as those contacted are.
insert into taken
with spending as (
    select
        step_up.*,
        sum(case when held_out then 0 else step_cost end) over (
            order by efficiency desc, tie, person_number
            rows between unbounded preceding and current row
        ) as spent
    from step_up
    where not $filling or (
        is_first and step_cost <= $money::decimal(38, 4)
        and person_number not in (select person_number from taken)
    )
)
select person_number, held_out, action, cost, gain, step_cost, step_gain, efficiency, tie
from spending
where spent <= $money::decimal(38, 4)
