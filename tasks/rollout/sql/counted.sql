-- Grain: one row a customer who counts in one arm, ready for `day_counts.sql`.
create or replace temporary table counted as
select
    $rollout_id::varchar as rollout_id,
    enrolled.customer_id,
    enrolled.arm,
    enrolled.entered_at::date as day,
    enrolled.exposed,
    logged.customer_id is not null as logged,
    outcome.customer_id is not null as due,
    -- That nothing was ordered can only be told by the feed as a whole: see `arm_feed.sql`.
    outcome.customer_id is not null as matured,
    outcome.lapsed,
    outcome.amount,
    outcome.covariate
from enrolled
left join outcome using (customer_id)
left join ({logged}) as logged using (customer_id)
where not enrolled.is_crossed
