-- Grain: one event of a session as it is written, sorted by customer and time.
with events as (
    select
        *,
        unnest(range(1 + geometric(uniform(arrival_key, 1), $events_scale)))::integer as step
    from session_arrivals
),

keyed as (
    select *, part_key(arrival_key, step + 2) as event_key from events
),

timed as (
    select
        *,
        at_day + step * (20.0 + 160.0 * uniform_16(event_key, 0)) / 86400.0 as event_day,
        uniform_16(event_key, 16) as kind_draw,
        uniform_16(event_key, 32) as length_draw
    from keyed
),

sorted as (
    select * from timed where event_day < $window_days order by number, event_day, arrival, step
)

select
    'C' || lpad(number::varchar, 9, '0') as customer_id,
    'E' || (number::bigint * 67108864 + arrival)::varchar || '-' || step as event_id,
    to_timestamp($start_epoch + floor(event_day * 86400.0)) as occurred_at,
    case
        when step = 0 then 'visit'
        when kind_draw < 0.65 then 'view'
        when kind_draw < 0.85 then 'search'
        else 'cart'
    end as kind,
    'S' || (number::bigint * 67108864 + arrival)::varchar as session_id,
    case when uniform_16(arrival_key, 0) < 0.6 then 'web' else 'app' end as channel,
    -- Seconds looked at.
    floor(-40.0 * ln(length_draw)) as value{month}
from sorted
