-- One row a broken rule of a refused row, with its raw line.
insert into lake.ledger.quarantine by name
select
    $batch_number::integer as batch_number,
    row_number::bigint as row_number,
    rule::varchar as rule,
    reason::varchar as reason,
    raw_line::varchar as raw_line,
    $recorded_at::timestamptz as recorded_at
from read_parquet($rejects)
order by row_number, rule
