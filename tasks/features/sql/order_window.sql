-- One row a customer and cut-off: the last 365 days before it by windows, and the newest order day.
-- Several small counts travel in one DOUBLE, each in binary digits of its own (sums stay below
-- 2^53, so they are exact): an aggregate costs far more than taking the digits apart after it.
create or replace temporary table order_window as
with spread as (
    select
        customer_number, day, lines, amount, returned, has_return, discount,
        discount_known_amount, new_categories, place,
        unnest(range(late::bigint, ({look_back_end})::bigint)) as cutoff_number
    from order_day
    where ({look_back_end}) > late
),
aged as (
    select
        spread.*,
        cutoff.as_of_day - spread.day as age,
        (spread.lines > 0)::integer as bought,
        spread.has_return::integer as gave_back
    from spread
    inner join cutoff using (cutoff_number)
),
bounded as (
    select * {blank_before_year} from aged
)
select
    customer_number,
    cutoff_number,
    max(case when bought = 1 then place end) as place,
    sum(
        (
            bought * (
                (age <= 7)::bigint
                + (age <= 30)::bigint * 8
                + (age <= 90)::bigint * 256
                + (age <= 180)::bigint * 32768
                + (age <= 365)::bigint * 8388608
                + (age <= 365 and age > 365 - $horizon_days)::bigint * 4294967296
            )
            + gave_back * (age <= 365)::bigint * 2199023255552
        )::double
    ) as days,
    sum(lines + case when age <= 90 then lines else 0 end * 67108864) as line_counts,
    bit_or(
        case
            when bought = 1 and age <= 365
            then (1 << ((day + 4) % 7)) + (1 << (7 + age // 31))
            else 0
        end
    ) as calendar,
    sum(case when age <= 7 then amount else 0 end) as amount_7,
    sum(case when age <= 30 then amount else 0 end) as amount_30,
    sum(case when age <= 90 then amount else 0 end) as amount_90,
    sum(case when age <= 180 then amount else 0 end) as amount_180,
    sum(amount) as amount_365,
    sum(case when age > 365 - $horizon_days then amount else 0 end) as amount_year_ago,
    sum(returned) as returned_365,
    sum(discount) as discount_365,
    sum(discount_known_amount) as discount_known_amount_365,
    sum(case when age <= 90 then discount end) as discount_90,
    sum(case when age <= 90 then discount_known_amount end) as discount_known_amount_90,
    sum(case when age <= 90 then new_categories else 0 end) as new_categories_90
from bounded
group by customer_number, cutoff_number;
