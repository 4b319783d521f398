-- Grain: one customer as he is written, recorded on the day on which he came.
with sorted as (
    select * from lives order by number
)

select
    'C' || lpad(number::varchar, 9, '0') as customer_id,
    to_timestamp($start_epoch + floor(joined_day * 86400.0)) as registered_at,
    to_timestamp($start_epoch + floor(joined_day * 86400.0)) as recorded_at,
    region,
    age_band,
    case when is_held_out then 'holdout' else 'contactable' end as contact_group{month}
from sorted
