-- One row a part of a source, move (hours) and hour of the day: hours in which a customer did
-- something, once all times of the part are moved.
with moments as (
    select
        customer_id,
        date_trunc($period, {event_time} - to_hours($day_begins_hours::integer))::varchar as part,
        epoch_us({event_time}) as moment
    from read_parquet({paths})
    where {event_time} is not null
),

moved as (
    select
        moments.part,
        moves.move,
        moments.customer_id,
        (moments.moment + (moves.move * 3600000000)::bigint) // 3600000000 as hour_number
    from moments
    cross join (select unnest($moves::double[]) as move) as moves
)

select
    part,
    move,
    hour_number % 24 as hour,
    count(distinct hash(customer_id, hour_number)) as moments
from moved
group by all
