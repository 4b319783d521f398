-- Grain: one row a customer who is gone: how long silent, what they were worth, who returns unasked.
create or replace temporary table {staged} as
with line as (
    select customer_id, ordered_at, net_amount, is_return
    from {orders}
    where ordered_at < $as_of
),
last_order as (
    select
        customer_id,
        max(ordered_at) filter (not is_return) as last_at,
        max(ordered_at) filter (not is_return and ordered_at < $past_as_of) as past_last_at
    from line
    group by customer_id
),
gone as (
    select customer_id, last_at
    from last_order
    where last_at < $as_of - to_days($activity_window_days::integer)
        and last_at >= $as_of - to_days($longest_lapse_days::integer)
        and customer_id not in (
            select customer_id from lake.main.scores
            where scoring_id = $scoring_id and as_of = $as_of
        )
),
-- Who was gone a horizon ago, by how long, and who of them has come back since, unasked or not.
past as (
    select
        datediff('day', past_last_at, $past_as_of) // $activity_window_days::integer as band,
        last_at >= $past_as_of as is_back
    from last_order
    where past_last_at < $past_as_of - to_days($activity_window_days::integer)
        and past_last_at >= $past_as_of - to_days($longest_lapse_days::integer)
),
returning_by_band as (
    select band, avg(is_back::integer) as share
    from past
    group by band
    having count(*) >= $minimum_customers::bigint
),
returning_overall as (
    select case when count(*) >= $minimum_customers::bigint then avg(is_back::integer) end as share
    from past
),
-- Net of what came back later: a year up to the last order.
worth as (
    select gone.customer_id, sum(line.net_amount) as spent_amount
    from gone
    inner join line
        on line.customer_id = gone.customer_id
        and line.ordered_at > gone.last_at - interval 365 days
    group by gone.customer_id
),
known as (
    select
        gone.customer_id,
        -- An offer reaches for nothing with those who come back anyhow; they take it all the same.
        1 - coalesce(returning_by_band.share, returning_overall.share, $return_share::double)
            as probability,
        greatest(
            (worth.spent_amount * $margin_share::double * $kept_value_share::double), 0
        )::decimal(18, 4) as value_amount,
        null::varchar as segment_id,
        null::varchar as segment_name,
        null::varchar as driver,
        datediff('day', gone.last_at, $as_of)::integer as silent_days,
        null::varchar as scoring_id,
        0::double as stale_days,
        null::varchar as stale_sources
    from gone
    inner join worth using (customer_id)
    cross join returning_overall
    left join returning_by_band
        on returning_by_band.band
            = datediff('day', gone.last_at, $as_of) // $activity_window_days::integer
),
{banded}
