-- Grain: one of the last runs of a command that are over, the newest first; none from before a
-- person decided the item about memory.
with decided as (
    select max(recorded_at) as recorded_at
    from lake.ledger.incidents
    where cause_key = $cause_key and state = 'resolved'
)
select run_id, state
from lake.ledger.runs
where command = $command
    and state <> 'begun'
    and recorded_at > coalesce((select recorded_at from decided), timestamptz '0001-01-01 00:00:00+00')
order by recorded_at desc
limit $runs
