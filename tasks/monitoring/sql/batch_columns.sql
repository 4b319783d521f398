-- Grain: one row a batch of one table, in the order of what happened: its rows as seen tonight.
with seen as (
    select * from {seen} where {event_time} < $as_of
)
select
    batch_number,
    min({event_time}) as first_at,
    count(*) as batch_rows,
    {columns}
from seen
group by batch_number
order by first_at desc, batch_number desc
limit $batches
