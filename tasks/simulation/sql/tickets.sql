-- Grain: one ticket as it is written: opened while the customer stayed and before the end.
with opened as (
    select
        potential_tickets.*,
        opened_day - 2.5 * ln(uniform(ticket_key, 3)) as closed_day
    from potential_tickets
    join lives on lives.number = potential_tickets.number
    where potential_tickets.opened_day < lives.last_day
),

sorted as (
    select * from opened order by number, opened_day
)

select
    'C' || lpad(number::varchar, 9, '0') as customer_id,
    'T' || (number::bigint * 65536 + ticket_number)::varchar as ticket_id,
    to_timestamp($start_epoch + floor(opened_day * 86400.0)) as opened_at,
    case
        when closed_day < $window_days
            then to_timestamp($start_epoch + floor(closed_day * 86400.0))
    end as closed_at,
    list_extract(
        case
            when is_complaint then ['delivery', 'damaged', 'billing', 'quality']
            else ['question', 'delivery', 'account', 'product']
        end,
        1 + floor(4 * uniform(ticket_key, 4))::integer
    ) as topic,
    is_complaint,
    case
        when uniform(ticket_key, 5) < 0.5 and closed_day < $window_days
            then least(5, greatest(1, round(
                case when is_complaint then 2.2 else 4.1 end + normal(ticket_key, 6)
            )))
    end as satisfaction_score{month}
from sorted
