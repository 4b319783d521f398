-- One row a figure of an accepted batch, oldest batch first; all sources, or one.
with latest as (
    select batch_number, source, table_name, state
    from lake.ledger.batches
    qualify row_number() over (partition by batch_number order by recorded_at desc) = 1
)

select
    figures.batch_number,
    figures.column_name,
    figures.statistic,
    figures.value
from lake.ledger.batch_statistics as figures
join latest on latest.batch_number = figures.batch_number
where latest.state = 'accepted'
    and figures.table_name = latest.table_name
    and ($source::varchar is null or latest.source = $source)
order by figures.batch_number
