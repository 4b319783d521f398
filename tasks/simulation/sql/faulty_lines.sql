-- Grain: one order line, with the fault planted in it; a line delivered twice is two rows.
create or replace temp table faulty_lines as
with keyed as (
    select *, hash(hash(xor(line_key, hash($fault_stream::ubigint)))) as fault_key
    from order_lines
),

drawn as (
    select
        *,
        case
            when uniform(fault_key, 1) < $dirty_share
                then list_extract(
                    $fault_kinds::varchar[],
                    1 + floor(uniform(fault_key, 2) * len($fault_kinds::varchar[]))::integer
                )
        end as drawn_fault
    from keyed
),

-- A line of the last month has no later file to arrive in.
named as (
    select
        *,
        case
            when drawn_fault = 'arrived_late' and at_day >= $last_month_day then null
            else drawn_fault
        end as fault
    from drawn
),

copied as (
    select *, unnest(range(1 + coalesce(fault = 'delivered_twice', false)::integer)) as copy
    from named
)

select
    * exclude (fault_key, drawn_fault),
    case when month_name($start_on, at_day) = $unit_month then 100 else 1 end as unit_factor
from copied;
