-- Grain: one order line as it is written, sorted by customer and time.
with sorted as (
    select *
    from {lines}
    order by number, at_day, arrival, line, quantity, copy
)

select
    case when fault = 'customer_missing' then null
         else 'C' || lpad(number::varchar, 9, '0') end as customer_id,
    (case when quantity < 0 then 'R' else 'O' end)
        || (number::bigint * 67108864 + arrival)::varchar as order_id,
    line::varchar as line_id,
    to_timestamp(
        $start_epoch + floor(at_day * 86400.0)
        + case when fault = 'future_stamp' then 315360000.0 else 0.0 end
    ) as ordered_at,
    'P' || lpad(product::varchar, 6, '0') as product_id,
    'category_' || lpad((product // 10000)::varchar, 2, '0') as category,
    case channel when 0 then 'web' when 1 then 'app' else 'store' end as channel,
    quantity::decimal(18, 4) as quantity,
    (net_cents * unit_factor / 100.0)::decimal(18, 4) as net_amount,
    (discount_cents * unit_factor / 100.0)::decimal(18, 4) as discount_amount,
    case when fault = 'wrong_currency' then 'XXX' else $currency end as currency,
    quantity < 0 as is_return{month}
from sorted
