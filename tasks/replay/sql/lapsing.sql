-- Grain: one row a listed customer with an order before the cut-off: whether they order within the
-- horizon, and the delivered line of their last order before it (`place` is its row of `delivered`).
select
    customer_id,
    coalesce(
        bool_or(true) filter (
            ordered_at >= $as_of
            and ordered_at < $as_of::timestamptz + to_days($horizon_days::integer)
        ),
        false
    ) as comes_back,
    max(ordered_at) filter (ordered_at < $as_of) as last_at,
    arg_max(place, (ordered_at, place)) filter (ordered_at < $as_of) as place
from {line}
where not is_return and list_contains($customers::varchar[], customer_id)
group by customer_id
having last_at is not null
order by customer_id
