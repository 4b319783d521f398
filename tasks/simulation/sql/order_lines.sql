-- Grain: one line of an order, in numbers; texts are made when it is written.
create or replace temp table order_lines as
with lines as (
    select
        *,
        unnest(range(1 + geometric(uniform(arrival_key, 1), $lines_scale)))::integer as line
    from order_arrivals
),

keyed as (
    select *, part_key(arrival_key, line + 2) as line_key from lines
),

doubled as (
    select *, hash(line_key) as more from keyed
),

chosen as (
    select
        number, arrival, line, at_day, line_key,
        -- Four in five orders are placed at the customer's own channel.
        case
            when uniform_16(arrival_key, 0) < 0.8 then home_channel
            else floor(uniform_16(arrival_key, 16) * 3)::integer
        end as channel,
        (case
            when uniform_16(line_key, 0) < $favourite_share then favourite
            else floor(uniform_16(line_key, 16) * $categories)::integer
        end) * 10000
        + floor($products * pow((line_key >> 32)::double / 4294967296.0, 2))::integer as product,
        1 + geometric(uniform_16(more, 0), quantity_scale) as quantity,
        case
            when uniform_16(more, 16) < discount_share
                then 10 * (1 + floor(uniform_16(more, 32) * 3)::integer)
            else 0
        end as discount_percent,
        uniform_16(more, 48) < $return_share as comes_back
    from doubled
)

select
    chosen.number, chosen.arrival, chosen.line, chosen.at_day, chosen.line_key, chosen.channel,
    chosen.product, chosen.quantity, chosen.comes_back,
    chosen.quantity * products.price_cents
        - round(chosen.quantity * products.price_cents * chosen.discount_percent / 100.0)::bigint
        as net_cents,
    round(chosen.quantity * products.price_cents * chosen.discount_percent / 100.0)::bigint
        as discount_cents
from chosen
join products on products.product = chosen.product;
