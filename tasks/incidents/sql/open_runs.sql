-- Grain: one run that has begun and of which no end is known.
select run_id, command, process, memory_kills, recorded_at
from lake.ledger.runs
qualify row_number() over (partition by run_id order by recorded_at desc, state) = 1
    and state = 'begun'
order by recorded_at
