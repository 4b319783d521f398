-- Grain: one row, the figures of a plan: how many customers there are now, how many come a day, and
-- what those who were active a horizon ago have done since.
with line as (
    select customer_id, ordered_at, net_amount, is_return
    from {orders}
    where ordered_at < $as_of
        and ordered_at >= $as_of - to_days($horizon_days::integer)
            - to_days(greatest($activity_window_days::integer, $horizon_days::integer))
),
person as (
    select
        customer_id,
        bool_or(
            not is_return and ordered_at < $begin
            and ordered_at >= $begin - to_days($activity_window_days::integer)
        ) as is_active,
        bool_or(
            not is_return
            and ordered_at >= $as_of - to_days($activity_window_days::integer)
        ) as is_active_now,
        bool_and(ordered_at >= $begin) as is_new,
        bool_or(not is_return and ordered_at >= $begin) as came_back,
        $margin_share::double * coalesce(sum(net_amount) filter (ordered_at >= $begin), 0)::double
            as amount,
        $margin_share::double * coalesce(
            sum(net_amount) filter (
                ordered_at < $begin and ordered_at >= $begin - to_days($horizon_days::integer)
            ), 0
        )::double as covariate
    from line
    group by customer_id
)
select
    count(*) filter (is_active_now) as customers,
    count(*) filter (is_new) / $horizon_days::double as new_daily,
    coalesce(avg((not came_back)::integer) filter (is_active), 0)::double as lapse_share,
    coalesce(avg(amount) filter (is_active), 0)::double as amount_mean,
    coalesce(stddev_samp(amount) filter (is_active), 0)::double as amount_deviation,
    coalesce(corr(amount, covariate) filter (is_active), 0)::double as correlation
from person
