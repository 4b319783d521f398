-- One row a figure of a trailing batch: the newest accepted batches of one source and table.
with latest as (
    select batch_number, batch_name, source, table_name, state
    from lake.ledger.batches
    qualify row_number() over (partition by batch_number order by recorded_at desc) = 1
),

before as (
    select batch_number
    from latest
    where state = 'accepted'
        and source = $source
        and table_name = $table_name
        and batch_name <> $batch_name
    order by batch_number desc
    limit $batches
)

select
    before.batch_number,
    figures.column_name,
    figures.statistic,
    figures.value
from before
left join lake.ledger.batch_statistics as figures
    on figures.batch_number = before.batch_number
    and figures.table_name = $table_name
order by before.batch_number
