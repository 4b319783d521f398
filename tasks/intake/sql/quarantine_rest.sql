-- One row a row of a stopped batch that no row rule refused; its line is in the raw file.
insert into lake.ledger.quarantine by name
with rejected as (
    select distinct row_number
    from {rejects}
)
select
    $batch_number::integer as batch_number,
    staged.row_number::bigint as row_number,
    $rule::varchar as rule,
    $reason::varchar as reason,
    null::varchar as raw_line,
    $recorded_at::timestamptz as recorded_at
from read_parquet($staged) as staged
anti join rejected on staged.row_number = rejected.row_number
order by staged.row_number
