-- One row an item of the work queue: its latest state, when it was opened, how often it ended, and its batches.
with states as (
    select
        *,
        min(recorded_at) over (partition by incident_number) as opened_at,
        count(*) filter (where state = 'resolved') over (partition by incident_number) as ends
    from lake.ledger.incidents
    qualify row_number() over (partition by incident_number order by recorded_at desc) = 1
),

members as (
    select
        incident_number,
        list(distinct batch_number order by batch_number) as batches
    from lake.ledger.incident_batches
    group by incident_number
)

select
    states.*,
    coalesce(members.batches, []) as batches
from states
left join members using (incident_number)
