-- Grain: one row a customer and lot, with what became of them in the horizon after it.
create or replace temporary table trial as
with bought as (
    select customer_id, ordered_at, net_amount, is_return
    from {orders}
    where ordered_at < $as_of::timestamptz
),
outcome as (
    select
        subject.customer_id,
        subject.decided_at,
        count(*) filter (not bought.is_return) as lines,
        sum(bought.net_amount) as spent_amount
    from (select distinct customer_id, decided_at from subject) as subject
    inner join bought
        on bought.customer_id = subject.customer_id
        and bought.ordered_at >= subject.decided_at
        and bought.ordered_at < subject.decided_at + to_days($horizon_days::integer)
    group by subject.customer_id, subject.decided_at
)
select
    subject.*,
    coalesce(outcome.lines, 0) = 0 as lapsed,
    (coalesce(outcome.spent_amount, 0) * $margin_share::double)::double as margin_amount
from subject
left join outcome using (customer_id, decided_at)
