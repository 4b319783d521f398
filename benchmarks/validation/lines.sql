-- One row an order line of a made-up shop as staging writes it, in the order of delivery: five lines
-- an order, 24 categories, 3 channels, 4 % returns. Of every 2,000 lines each rule is broken by one.
copy (
    with numbered as (
        select
            number,
            number % 2000 as place,
            -- The line that repeats an earlier one is made like it.
            case when number % 2000 = 40 then number - 15 else number end as line
        from range($lines) numbered(number)
    ),
    bought as (
        select
            number,
            place,
            line,
            line // 5 as bill,
            hash(line // 5, 1) % greatest($lines // 38, 1) as customer,
            hash(line, 2) % 4000 as product,
            1 + hash(line, 3) % 5 as items,
            (100 + hash(line, 4) % 9000) / 100.0 as amount,
            hash(line // 5, 5) % 25 = 0 and place > 20 as goes_back
        from numbered
    ),
    written as (
        select
            number,
            case
                when place = 1
                    then [null, '', ' nan', 'NULL'][1 + (number // 2000 % 4)::integer]
                else 'C' || lpad(customer::varchar, 8, '0')
            end as customer_id,
            case when place = 2 then null else 'O' || lpad(bill::varchar, 8, '0') end as order_id,
            (1 + line % 5)::varchar as line_id,
            case
                when place = 3 then null
                when place = 8 then timestamptz '1970-01-01 00:00:00+00'
                else timestamptz '2024-03-01 00:00:00+00'
                    + to_seconds(floor(line * 2678400.0 / $lines)::bigint)
            end as ordered_at,
            case
                when place = 15 then 'POST'
                else 'P' || lpad(product::varchar, 5, '0')
            end as product_id,
            'category ' || (product % 24) as category,
            ['store', 'web', 'app'][1 + (bill % 3)::integer] as channel,
            (
                case
                    when place = 4 then null
                    when place = 9 then 200000
                    when place = 13 then -1
                    when goes_back then -items::integer
                    else items::integer
                end
            )::decimal(18, 4) as quantity,
            (
                case
                    when place = 5 then null
                    when place = 10 then 2000000
                    when place = 14 then -amount
                    when place = 16 then 0
                    when goes_back then -amount
                    else amount
                end
            )::decimal(18, 4) as net_amount,
            (
                case
                    when place = 11 then -1
                    when hash(line, 6) % 4 = 0 then (hash(line, 7) % 500) / 100.0
                    else 0
                end
            )::decimal(18, 4) as discount_amount,
            case when place = 6 then null when place = 12 then 'gbp' else 'GBP' end as currency,
            case when place = 7 then null else goes_back end as is_return
        from bought
    )
    select
        * exclude (number),
        number + 2 as row_number,
        array_to_string(
            [
                coalesce(cell, '')
                for cell in [
                    customer_id, order_id, line_id, ordered_at::varchar, product_id, category,
                    channel, quantity::varchar, net_amount::varchar, discount_amount::varchar,
                    currency, is_return::varchar
                ]
            ],
            ','
        ) as raw_line,
        null::timestamptz as received_at
    from written
) to '{file}' (format parquet, compression zstd);
