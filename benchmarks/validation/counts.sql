-- One row: how many lines break each rule, and the counts that the rules of the batch look at.
-- Written by hand for these very rules; nothing says which lines they are. How many lines repeat an
-- earlier one is a query of its own.
select
    count(*) as row_count,
    count(*) filter (
        where customer_id is null
            or regexp_full_match(
                customer_id,
                '(?i)[\s\x{00A0}\x{200B}]*(?:nan|null|none|n/a|undefined)?[\s\x{00A0}\x{200B}]*'
            )
    ) as customer_id_present,
    count(*) filter (
        where order_id is null or regexp_full_match(order_id, '[\s\x{00A0}\x{200B}]*')
    ) as order_id_present,
    count(*) - count(ordered_at) as ordered_at_present,
    count(*) - count(quantity) as quantity_present,
    count(*) - count(net_amount) as net_amount_present,
    count(*) filter (
        where currency is null or regexp_full_match(currency, '[\s\x{00A0}\x{200B}]*')
    ) as currency_present,
    count(*) - count(is_return) as is_return_present,
    count(*) filter (
        where ordered_at < timestamptz '1990-01-01 00:00:00+00'
            or ordered_at > timestamptz '2024-04-02 02:00:00+00'
    ) as ordered_at_plausible,
    count(*) filter (where quantity < -100000 or quantity > 100000) as quantity_in_range,
    count(*) filter (where net_amount < -1000000 or net_amount > 1000000) as net_amount_in_range,
    count(*) filter (
        where discount_amount < 0 or discount_amount > 1000000
    ) as discount_amount_in_range,
    count(*) filter (where not regexp_full_match(currency, '[A-Z]{3}')) as currency_allowed,
    count(*) filter (
        where (is_return and (quantity > 0 or net_amount > 0)) or (not is_return and quantity < 0)
    ) as return_sign,
    count(*) filter (where not is_return and net_amount < 0) as price_not_negative,
    count(*) filter (where not is_return and net_amount = 0) as price_not_zero,
    count(*) filter (where regexp_full_match(product_id, 'POST|FEE')) as product_code,
    (select repeated from ({repeated})) as row_repeated,
    count(*) - count(line_id) as line_id_null,
    count(*) - count(product_id) as product_id_null,
    count(*) - count(category) as category_null,
    count(*) - count(channel) as channel_null,
    count(*) - count(discount_amount) as discount_amount_null,
    (
        select count(*) from read_parquet('{file}') where category not in ({categories})
    ) as category_new,
    (
        select count(*) from read_parquet('{file}') where channel not in ('store', 'web', 'app')
    ) as channel_new,
    (
        select count(*) from read_parquet('{file}') where currency not in ('GBP', 'gbp')
    ) as currency_new,
    count(distinct currency) as currencies,
    max(ordered_at) as newest_at
from read_parquet('{file}')
