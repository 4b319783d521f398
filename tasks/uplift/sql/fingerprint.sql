-- Grain: one row, what all subjects with their outcomes come to, whatever their order.
with digest as (select md5(to_json(trial)::varchar) as text from trial)
select
    count(*) as subjects,
    coalesce(sum(('0x' || text[1:15])::bigint), 0) as low,
    coalesce(sum(('0x' || text[16:30])::bigint), 0) as high
from digest
