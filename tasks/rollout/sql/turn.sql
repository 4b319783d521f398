-- Grain: one row a scored customer outside the hold-out: arm, enrolment stage, and whose turn it is.
-- `is_served`: the challenger has them at this stage already; from their own stage on they count.
create or replace temporary table turn as
with hashed as (
    select
        customer_id,
        {bucket} as bucket,
        {stage} as stage,
        case when {is_challenger} then 'challenger' else 'champion' end as arm
    from {customers}
    -- Who is held out is so for ever and for all rollouts: as the action list has it.
    where not {is_held_out}
)
select
    *,
    arm = 'challenger' and bucket < $served_below::integer as is_served,
    stage <= $present_stage::integer as is_counted
from hashed
