-- Grain: one fault planted in one line; `month` is the month in which the line happened.
with sorted as (
    select
        number, at_day, arrival, line, quantity,
        case when unit_factor = 100 then 'unit_hundredfold' end as unit_fault,
        fault, copy
    from faulty_lines
    where fault is not null or unit_factor = 100
    order by number, at_day, arrival, line, quantity, copy
),

named as (
    select *, unnest(list_filter([fault, unit_fault], lambda f: f is not null)) as kind
    from sorted
)

select
    kind as fault,
    'C' || lpad(number::varchar, 9, '0') as customer_id,
    (case when quantity < 0 then 'R' else 'O' end)
        || (number::bigint * 67108864 + arrival)::varchar as order_id,
    line::varchar as line_id,
    month_name($start_on, at_day) as month
from named
where kind = 'unit_hundredfold' or copy = 0
