-- Grain: one row an action of a list, for everybody or in a segment or for a reason: what is known.
-- `gain_share` and `gain_amount` are there where they take the place of the policy's guess.
create or replace temporary table policy_effect as
select
    action,
    segment_id,
    driver,
    level,
    case when is_measured and metric = 'lapse_share' then incremental_share end as gain_share,
    case when is_measured and metric = 'margin_amount' then incremental_amount end as gain_amount
from lake.main.action_effects
where run_id = $uplift_id and as_of = $as_of and listed_for = $listed_for
