-- Grain: one row an action, for everybody or in a segment or for a reason, of a run; appended.
insert into lake.main.action_effects by name
select
    $as_of::timestamptz as as_of,
    $known_by::timestamptz as known_by,
    $run_id as run_id,
    $metric as metric,
    $currency as currency,
    effect_row.*
from effect_row
order by listed_for, action, segment_id, driver
