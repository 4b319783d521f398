-- Grain: one row a rollout, a day of entry and an arm; `evidence.DayCounts` in SQL.
-- The relation enrolled has one row a customer of a rollout: rollout_id, arm, day, exposed, logged, due,
-- matured (booleans), lapsed (null unless matured), amount, covariate (both null for lapse shares).
select
    rollout_id,
    day,
    arm,
    count(*) as assigned,
    count(*) filter (where exposed) as exposed,
    count(*) filter (where exposed and logged) as logged,
    count(*) filter (where exposed and due) as due,
    count(*) filter (where exposed and due and matured) as matured,
    count(*) filter (where exposed and due and matured and lapsed) as events,
    coalesce(sum(y), 0) as amount_sum,
    coalesce(sum(y * y), 0) as amount_square_sum,
    coalesce(sum(x), 0) as covariate_sum,
    coalesce(sum(x * x), 0) as covariate_square_sum,
    coalesce(sum(x * y), 0) as cross_sum,
    coalesce(sum(y * y * y), 0) as amount_cube_sum,
    coalesce(sum(x * x * x), 0) as covariate_cube_sum,
    coalesce(sum(y * y * x), 0) as amount_square_covariate_sum,
    coalesce(sum(y * x * x), 0) as amount_covariate_square_sum
from (
    select
        *,
        case when exposed and due and matured then coalesce(amount, 0)::double end as y,
        case when exposed and due and matured then coalesce(covariate, 0)::double end as x
    from {enrolled}
) as enrolled
group by rollout_id, day, arm
order by rollout_id, day, arm
