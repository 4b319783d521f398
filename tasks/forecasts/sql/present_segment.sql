-- Grain: one row a customer who was ever in a segment: the newest by then.
create or replace temporary table present_segment as
with run as (
    select as_of, arg_max(finding_id, recorded_at) as run_id
    from lake.ledger.findings
    where kind = 'segments' and as_of <= $as_of
    group by as_of
),
known as (
    select member.customer_id, member.segment_id, member.as_of
    from lake.main.customer_segments as member
    inner join run on run.run_id = member.run_id and run.as_of = member.as_of
),
-- A segment that has died is no group of today.
living as (
    select distinct segment_id from known
    where as_of = (select max(as_of) from run)
)
select customer_id, arg_max(segment_id, as_of) as segment_id
from known
group by customer_id
having arg_max(segment_id, as_of) in (select segment_id from living)
