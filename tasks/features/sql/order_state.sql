-- One row an order day of a customer: what the history amounts to after it, and which cut-offs
-- see it as the newest: from `late` up to `next_late`, exclusive.
create or replace temporary table order_state as
with seen as (
    select * from order_day where lines > 0 and late < {cutoffs}
),
gapped as (
    select
        *,
        row_number() over ordered as order_days,
        first_value(day) over ordered as first_order_day,
        day - lag(day) over ordered as gap_days,
        lead(late, 1, {cutoffs}::utinyint) over ordered as next_late
    from seen
    window ordered as (partition by customer_number order by day)
)
select
    customer_number,
    late,
    next_late,
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
