-- Grain: one row, what all that is known of the customers of a list comes to, whatever its order.
with digest as (
    select md5(to_json(person)::varchar) as text
    from (select * exclude (person_number) from person) as person
)
select
    count(*) as customers,
    coalesce(sum(('0x' || text[1:15])::bigint), 0) as low,
    coalesce(sum(('0x' || text[16:30])::bigint), 0) as high
from digest
