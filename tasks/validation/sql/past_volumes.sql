-- One row an accepted batch of one source and table whose place in the calendar is known.
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
),

sizes as (
    select
        batch_number,
        max(value) filter (where statistic = 'rows') as size_rows,
        max(value) filter (where statistic = 'span_days') as span_days,
        max(value) filter (where statistic = 'middle_day') as middle_day
    from lake.ledger.batch_statistics
    where table_name = $table_name
        and column_name = ''
        and statistic in ('rows', 'span_days', 'middle_day')
        and batch_number in (select batch_number from before)
    group by batch_number
)

select size_rows, span_days, middle_day
from sizes
-- Batches of an older version have no place in the calendar.
where size_rows > 0 and span_days is not null and middle_day is not null
order by middle_day, batch_number
