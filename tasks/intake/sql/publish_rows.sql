-- One row an accepted row of the staged batch, sorted as features read: customer, then event time.
insert into {target} by name
with rejected as (
    select distinct row_number
    from {rejects}
)
select
    {columns},
    $batch_number::integer as batch_number,
    staged.row_number::bigint as row_number,
    {received_at} as received_at
from read_parquet($staged) as staged
anti join rejected on staged.row_number = rejected.row_number
order by staged.customer_id, staged.{event_time}, staged.row_number
