-- Grain: one row a step of a customer, from nothing or a cheaper action to the next dearer one.
-- Only steps on the upper hull of (cost, gain) are left, so the further steps of a customer bring
-- less for the money than the ones before: whoever takes steps in that order takes them in turn.
create or replace temporary table step_up as
with point as (
    select * from candidate_left
    qualify row_number() over (
        partition by person_number, cost order by gain desc, action
    ) = 1
),
sloped as (
    select
        point.person_number,
        point.action,
        least(
            point.gain::double / point.cost::double,
            min((point.gain - other.gain)::double / (point.cost - other.cost)::double)
                filter (other.cost < point.cost)
        ) as slope_before,
        max((other.gain - point.gain)::double / (other.cost - point.cost)::double)
            filter (other.cost > point.cost) as slope_after
    from point
    left join point as other
        on other.person_number = point.person_number and other.cost <> point.cost
    group by point.person_number, point.action, point.cost, point.gain
),
hull as (
    select
        point.*,
        lag(point.cost) over step as cost_before,
        lag(point.gain) over step as gain_before
    from point
    inner join sloped using (person_number, action)
    where slope_before > greatest(coalesce(slope_after, 0), 0)
    window step as (partition by point.person_number order by point.cost)
)
select
    person_number,
    tie,
    held_out,
    action,
    cost,
    gain,
    cost_before is null as is_first,
    cost - coalesce(cost_before, 0) as step_cost,
    gain - coalesce(gain_before, 0) as step_gain,
    (gain - coalesce(gain_before, 0))::double / (cost - coalesce(cost_before, 0))::double
        as efficiency
from hull
