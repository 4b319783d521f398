-- Grain: one contact as it is written; only who has not left opens it.
with draws as (
    select
        potential_contacts.*,
        potential_contacts.contacted_day < lives.dropped_out_day
            and uniform(contact_key, 4) < lives.open_share as opens,
        uniform(contact_key, 5) < lives.click_share as clicks,
        uniform(contact_key, 6) < lives.response_share as responds
    from potential_contacts
    join lives on lives.number = potential_contacts.number
    where potential_contacts.contacted_day < $window_days
),

delays as (
    select
        *,
        contacted_day - 0.4 * ln(uniform(contact_key, 7)) as open_day
    from draws
),

later as (
    select
        *,
        open_day - 0.01 * ln(uniform(contact_key, 8)) as click_day
    from delays
),

latest as (
    select
        *,
        click_day - 0.1 * ln(uniform(contact_key, 9)) as response_day
    from later
),

sorted as (
    select * from latest order by number, contacted_day
)

select
    'C' || lpad(number::varchar, 9, '0') as customer_id,
    'M' || (number::bigint * 65536 + campaign)::varchar as contact_id,
    to_timestamp($start_epoch + floor(contacted_day * 86400.0)) as contacted_at,
    'campaign_' || lpad(campaign::varchar, 3, '0') as campaign_id,
    'email' as channel,
    case when opens and open_day < $window_days
        then to_timestamp($start_epoch + floor(open_day * 86400.0)) end as opened_at,
    case when opens and clicks and click_day < $window_days
        then to_timestamp($start_epoch + floor(click_day * 86400.0)) end as clicked_at,
    case when opens and clicks and responds and response_day < $window_days
        then to_timestamp($start_epoch + floor(response_day * 86400.0)) end as responded_at,
    case when opts_out then to_timestamp($start_epoch + floor(contacted_day * 86400.0) + 3600.0)
        end as opted_out_at{month}
from sorted
