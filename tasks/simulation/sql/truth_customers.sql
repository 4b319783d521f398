-- Grain: one customer: what nobody in business could know. Rates are per day.
with sorted as (
    select * from lives order by number
)

select
    'C' || lpad(number::varchar, 9, '0') as customer_id,
    to_timestamp($start_epoch + floor(joined_day * 86400.0)) as joined_at,
    -- May lie after the end of what is written: he has not left yet.
    to_timestamp($start_epoch + floor(least(dropped_out_day, 365250.0) * 86400.0))
        as dropped_out_at,
    dropped_out_day < $window_days as is_gone,
    purchase_rate,
    dropout_rate,
    is_hunter,
    is_held_out,
    contact_kind,
    contact_ratio,
    order_amount_mean
from sorted
