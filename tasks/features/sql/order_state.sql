-- One row an order day of a customer: what the history amounts to after it.
create or replace temporary table order_state as
with seen as (
    select * from order_day where lines > 0 and late < {cutoffs}
),
gapped as (
    select
        *,
        row_number() over ordered as order_days,
        first_value(day) over ordered as first_order_day,
        day - lag(day) over ordered as gap_days
    from seen
    window ordered as (partition by customer_number order by day)
)
select
    place,
    customer_number,
    day as last_order_day,
    first_order_day,
    order_days::integer as order_days,
    amount as last_amount,
    gap_days as last_gap_days,
    sum(amount) over so_far as amount,
    sum((gap_days * gap_days)::double) over so_far as gap_squares,
    max(gap_days) over so_far as longest_gap_days,
    sum(new_categories) over so_far as categories,
    sum(new_channels) over so_far as channels
from gapped
window so_far as (
    partition by customer_number order by day
    rows between unbounded preceding and current row
);
