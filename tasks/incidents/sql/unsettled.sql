-- One row an unresolved item about batches: what has become of the batches that share its cause.
with latest as (
    select incident_number, level, state
    from lake.ledger.incidents
    qualify row_number() over (partition by incident_number order by recorded_at desc) = 1
),

batch as (
    select batch_number, state
    from lake.ledger.batches
    qualify row_number() over (partition by batch_number order by recorded_at desc) = 1
)

select
    latest.incident_number,
    latest.level,
    list(distinct batch.state order by batch.state) as states
from latest
join lake.ledger.incident_batches as member using (incident_number)
join batch on batch.batch_number = member.batch_number
where latest.state <> 'resolved' and latest.level in ('stop', 'held')
group by latest.incident_number, latest.level
order by latest.incident_number
