-- One row a customer, day (UTC, days since 1970) and number of cut-offs that cannot see the lines.
-- A day's amounts are rounded to whole ten-thousandths held as DOUBLE: sums of those are exact up to
-- 2^53 in any order, so the same rows give the same bits however the work is divided.
create or replace temporary table line_day as
with dated as (
    select
        *,
        (epoch_us(ordered_at) // 86400000000)::integer as day,
        {seen_day} as seen_day
    from {lines}
    where {wanted}
),
line as (
    select
        customer_id,
        day,
        -- Cut-offs are in order of time on both clocks: a row unseen by n is unseen by the first n.
        {late} as late,
        {doubtful} as doubtful,
        is_return,
        net_amount::double as amount,
        discount_amount::double as discount,
        {category_bit} as category_bit,
        {channel_bit} as channel_bit
    from dated
)
select
    customer_id,
    day,
    late,
    {any_doubtful} as doubtful,
    bool_or(is_return) as has_return,
    (count(*) filter (not is_return))::double as lines,
    coalesce(round(sum(amount) filter (not is_return) * 10000), 0) as amount,
    coalesce(round(sum(amount) filter (is_return) * -10000), 0) as returned,
    bit_or(category_bit) filter (not is_return) as categories_bits,
    bit_or(channel_bit) filter (not is_return) as channels_bits,
    round(sum(discount) filter (not is_return) * 10000) as discount,
    round(sum(amount) filter (not is_return and discount is not null) * 10000)
        as discount_known_amount
from line
group by customer_id, day, late;
