-- One row a customer and cut-off: what they did on the web and in the app.
create or replace temporary table events_features as
with seen as (
    select
        pair.customer_number,
        pair.cutoff_number,
        (pair.as_of_day - epoch_us(event.occurred_at) // 86400000000)::integer as age,
        event.kind,
        event.session_id,
        event.value
    from pair
    inner join {events} event
        on event.customer_id = pair.customer_id
        and event.occurred_at < pair.as_of
        and event.occurred_at >= pair.as_of - interval 365 days
        and {seen_events}
),
counted as (
    select
        customer_number,
        cutoff_number,
        min(age) as latest,
        count(*) filter (age <= 7) as events_7,
        count(*) filter (age <= 30) as events_30,
        count(*) filter (age <= 90) as events_90,
        count(*) filter (age > 30 and age <= 60) as events_before_30,
        count(distinct age) filter (age <= 90) as event_days_90,
        count(distinct session_id) filter (age <= 30) as sessions_30,
        count(distinct session_id) filter (age <= 90) as sessions_90,
        count(session_id) as with_session,
        count(distinct kind) filter (age <= 90) as event_kinds_90
    from seen
    group by customer_number, cutoff_number
)
select
    pair.customer_number,
    pair.cutoff_number,
    counted.latest as event_recency_days,
    coalesce(counted.events_7, 0) as events_7,
    coalesce(counted.events_30, 0) as events_30,
    coalesce(counted.events_90, 0) as events_90,
    coalesce(counted.event_days_90, 0) as event_days_90,
    -- Sessions that were never recorded are not zero sessions.
    case when coalesce(counted.with_session, 1) > 0
        then coalesce(counted.sessions_30, 0) end as sessions_30,
    case when coalesce(counted.with_session, 1) > 0
        then coalesce(counted.sessions_90, 0) end as sessions_90,
    coalesce(counted.event_kinds_90, 0) as event_kinds_90,
    counted.events_30 / nullif(counted.events_before_30, 0)::double as events_trend
from pair
inner join cutoff using (cutoff_number)
left join counted using (customer_number, cutoff_number)
where cutoff.sees_events;
