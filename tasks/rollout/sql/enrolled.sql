-- Grain: one row a customer who counts, in one arm; `is_crossed`: was found in both, and is left out.
create or replace temporary table enrolled as
with entered as (
    select
        customer_id,
        min(arm) as arm,
        min(stage) as stage,
        min(entered_at) as entered_at,
        bool_or(exposed) as exposed,
        any_value(scoring_id) as scoring_id,
        count(distinct arm) > 1 as is_crossed
    from {enrolments}
    where rollout_id = $rollout_id and entered_at < $as_of
    group by customer_id
),
-- With the champion by the hash, and yet served by the challenger in a run of this rollout.
strayed as (
    select distinct entered.customer_id
    from entered
    inner join {scores} as score on score.customer_id = entered.customer_id
    where entered.arm = 'champion' and score.model_hash = $challenger_hash
        and score.as_of >= entered.entered_at and score.as_of < $as_of
        and score.scoring_id in (
            select scoring_id from {servings} where rollout_id = $rollout_id
        )
)
select
    entered.* exclude (is_crossed),
    entered.is_crossed or strayed.customer_id is not null as is_crossed
from entered
left join strayed using (customer_id)
