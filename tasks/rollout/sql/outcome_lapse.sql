-- Grain: one row a customer whose horizon has ended: whether they lapsed, what they spent in it, and
-- in as long a time before it. As the features have it: who has only sent things back has lapsed.
create or replace temporary table outcome as
with due as (
    select customer_id, entered_at, entered_at + to_days($horizon_days::integer) as ends_at
    from enrolled
    where not is_crossed and exposed
        and entered_at + to_days($horizon_days::integer) <= $as_of
),
line as (
    select customer_id, ordered_at, net_amount, is_return
    from {orders}
    where ordered_at < $as_of
)
select
    due.customer_id,
    not coalesce(
        bool_or(not line.is_return)
            filter (line.ordered_at >= due.entered_at and line.ordered_at < due.ends_at),
        false
    ) as lapsed,
    $margin_share::double * coalesce(
        sum(line.net_amount)
            filter (line.ordered_at >= due.entered_at and line.ordered_at < due.ends_at),
        0
    )::double as amount,
    $margin_share::double * coalesce(
        sum(line.net_amount) filter (
            line.ordered_at < due.entered_at
            and line.ordered_at >= due.entered_at - to_days($horizon_days::integer)
        ),
        0
    )::double as covariate
from due
left join line using (customer_id)
group by due.customer_id
