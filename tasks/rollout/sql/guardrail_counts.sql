-- Grain: one row a rollout, a guardrail and a day with a first event; `evidence.GuardrailCounts`.
-- The relation entered has one row an exposed customer of a rollout: rollout_id, customer_id, arm, day.
-- The relation happened has one row an event or more: rollout_id, customer_id, guardrail, day; events of a
-- customer before their entry, after `$as_of`, or after their first one do not count.
with first_event as (
    select
        happened.rollout_id,
        happened.guardrail,
        entered.arm,
        entered.customer_id,
        min(happened.day) as day
    from {happened} as happened
    inner join {entered} as entered
        on entered.rollout_id = happened.rollout_id
        and entered.customer_id = happened.customer_id
        and happened.day >= entered.day
    where happened.day <= $as_of::date
    group by happened.rollout_id, happened.guardrail, entered.arm, entered.customer_id
),
event_day as (
    select
        rollout_id,
        guardrail,
        day,
        count(*) filter (where arm = 'champion') as champion_events,
        count(*) filter (where arm = 'challenger') as challenger_events
    from first_event
    group by rollout_id, guardrail, day
),
entry as (
    select
        rollout_id,
        day,
        sum(count(*) filter (where arm = 'champion')) over entries as champion,
        sum(count(*) filter (where arm = 'challenger')) over entries as challenger
    from {entered}
    group by rollout_id, day
    window entries as (partition by rollout_id order by day)
)
select
    event_day.rollout_id,
    event_day.guardrail,
    event_day.day,
    (
        entry.champion - coalesce(sum(event_day.champion_events) over earlier, 0)
    )::bigint as champion_at_risk,
    (
        entry.challenger - coalesce(sum(event_day.challenger_events) over earlier, 0)
    )::bigint as challenger_at_risk,
    event_day.champion_events,
    event_day.challenger_events
from event_day
asof join entry
    on entry.rollout_id = event_day.rollout_id and entry.day <= event_day.day
window earlier as (
    partition by event_day.rollout_id, event_day.guardrail order by event_day.day
    rows between unbounded preceding and 1 preceding
)
order by event_day.rollout_id, event_day.guardrail, event_day.day
