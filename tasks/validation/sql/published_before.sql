-- One row a staged row that another batch, accepted and not superseded, has published already.
with latest as (
    select batch_number, batch_name, state
    from lake.ledger.batches
    qualify row_number() over (partition by batch_number order by recorded_at desc) = 1
),

counted as (
    select batch_number
    from latest
    where state = 'accepted' and batch_name <> $batch_name
),

published as (
    select {columns}
    from {table}
    where {event_time} between $oldest_at and $newest_at
        and batch_number in (select batch_number from counted)
)

select staged.row_number::bigint as row_number
from read_parquet($staged) as staged
semi join published on {same}
order by 1
