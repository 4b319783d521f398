-- One row an order line of a made-up shop, sorted by customer, 2022-01-01 to 2024-12-30: about ten
-- orders a customer (from one to sixty), four lines an order, 24 categories, 3 channels, 4 % returns.
copy (
    with customer as (
        select
            number,
            (hash(number, 1) % 900)::integer as first_day,
            1 + floor(-9 * ln(1 - (hash(number, 2) % 100000) / 100000.0))::integer as orders,
            ((hash(number, 3) % 700 + 30) * 3)::integer as life_days
        from range($customers) numbered(number)
    ),
    bought as (
        select
            number,
            place,
            first_day + floor(
                case
                    when place = 0 then 0
                    else (hash(number, place, 4) % 10000) / 10000.0
                        * least(life_days, 1095 - first_day)
                end
            )::integer as day,
            1 + (hash(number, place, 5) % 7)::integer as lines,
            hash(number, place, 6) % 100 < 4 as is_return,
            (hash(number, place, 7) % 3)::integer as channel,
            (hash(number, place, 8) % 86400)::integer as second
        from customer, range(0, orders) placed(place)
    ),
    line as (
        select * exclude (lines) from bought, range(0, lines) numbered(line)
    )
    select
        'C' || lpad(number::varchar, 8, '0') as customer_id,
        'O' || lpad(number::varchar, 8, '0') || '-' || place as order_id,
        timestamptz '2022-01-01 00:00:00+00' + to_seconds(day * 86400 + second) as ordered_at,
        'category ' || (hash(number, place, line) % 24) as category,
        ['store', 'web', 'app'][channel + 1] as channel,
        (1 + hash(number, place, line, 1) % 5)::decimal(18, 4) as quantity,
        (
            (case when is_return then -1 else 1 end)
            * (100 + hash(number, place, line, 2) % 9000) / 100.0
        )::decimal(18, 4) as net_amount,
        (
            case
                when hash(number, place, line, 3) % 4 = 0
                then (hash(number, place, line, 4) % 500) / 100.0
                else 0
            end
        )::decimal(18, 4) as discount_amount,
        'GBP' as currency,
        is_return,
        1::integer as batch_number,
        row_number() over () as row_number,
        timestamptz '2022-01-01 00:00:00+00' + to_seconds(day * 86400 + second) as received_at
    from line
) to '{file}' (format parquet, row_group_size 122880);
