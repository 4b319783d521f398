-- Grain: one row an arm of a scoring run: how many it was to serve, how many of them it did not.
insert into lake.ledger.servings
    (rollout_id, scoring_id, as_of, stage, arm, assigned, fell_back, failure, seconds, recorded_at)
select
    $rollout_id,
    $scoring_id,
    $as_of::timestamptz,
    $present_stage::integer,
    case when turn.is_served then 'challenger' else 'champion' end as arm,
    count(*),
    count(*) filter (turn.is_served and answered.customer_id is null),
    case when turn.is_served then $failure::varchar end,
    case when turn.is_served then $seconds::double else 0 end,
    $recorded_at::timestamptz
from turn
left join {answered} as answered using (customer_id)
group by turn.is_served
order by turn.is_served
