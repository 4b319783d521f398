-- One row an open item and channel that has no message of it yet, with the tries so far.
-- Rows held back of a published batch are no reason to wake anybody.
with latest as (
    select incident_number, level, state
    from lake.ledger.incidents
    qualify row_number() over (partition by incident_number order by recorded_at desc) = 1
),

channel as (
    select unnest($channels::varchar[]) as channel
),

tried as (
    select
        incident_number,
        channel,
        bool_or(state = 'sent') as is_sent,
        sum(attempts)::integer as attempts,
        max(recorded_at) as tried_at
    from lake.ledger.notices
    group by incident_number, channel
)

select
    latest.incident_number,
    channel.channel,
    coalesce(tried.attempts, 0) as attempts,
    tried.tried_at
from latest
cross join channel
left join tried
    on tried.incident_number = latest.incident_number and tried.channel = channel.channel
where latest.level <> 'held' and latest.state <> 'resolved'
    and not coalesce(tried.is_sent, false)
order by latest.incident_number, channel.channel
