-- One row a customer and cut-off: what their orders say. Money in the currency's units.
create or replace temporary view orders_features as
with unpacked as (
    select
        last.* exclude (days, line_counts, calendar),
        last.days::bigint & 7 as order_days_7,
        (last.days::bigint >> 3) & 31 as order_days_30,
        (last.days::bigint >> 8) & 127 as order_days_90,
        (last.days::bigint >> 15) & 255 as order_days_180,
        (last.days::bigint >> 23) & 511 as order_days_365,
        (last.days::bigint >> 32) & 511 as order_days_year_ago,
        (last.days::bigint >> 41) & 511 as return_days_365,
        last.line_counts::bigint & 67108863 as lines_365,
        last.line_counts::bigint >> 26 as lines_90,
        bit_count((last.calendar & 127)::integer) as weekdays_365,
        bit_count((last.calendar >> 7)::integer) as active_months_365
    from order_window last
),
joined as (
    select
        unpacked.*,
        state.* exclude (place, customer_number),
        cutoff.as_of_day,
        season.season_index,
        season.year_sine,
        season.year_cosine,
        list_median(order_gaps.gaps[1:state.order_days - 1]) as median_gap_days,
        (cutoff.as_of_day - state.last_order_day)::double as recency_days,
        (cutoff.as_of_day - state.first_order_day)::double as tenure_days,
        (state.last_order_day - state.first_order_day)::double as gap_total_days,
        (state.order_days - 1)::double as gaps
    from unpacked
    inner join order_state state using (place)
    inner join cutoff using (cutoff_number)
    inner join season using (cutoff_number)
    left join order_gaps on order_gaps.customer_number = unpacked.customer_number
    where {eligible}
),
cadence as (
    select
        *,
        case when gaps >= 1 then gap_total_days / gaps end as gap_mean_days,
        case
            when gaps >= 2
            then sqrt(greatest(
                (gap_squares - gap_total_days * gap_total_days / gaps) / (gaps - 1), 0
            ))
        end as gap_deviation_days
    from joined
)
select
    customer_number,
    cutoff_number,
    -- cadence
    recency_days,
    median_gap_days as gap_median_days,
    gap_mean_days,
    gap_deviation_days,
    last_gap_days::double as gap_last_days,
    longest_gap_days::double as gap_longest_days,
    recency_days / nullif(median_gap_days, 0) as gap_now_to_median,
    recency_days / nullif(gap_mean_days + coalesce(gap_deviation_days, 0), 0) as gap_now_to_usual,
    last_gap_days / nullif(median_gap_days, 0) as gap_last_to_median,
    coalesce(order_days_7, 0) as order_days_7,
    coalesce(order_days_30, 0) as order_days_30,
    coalesce(order_days_90, 0) as order_days_90,
    coalesce(order_days_180, 0) as order_days_180,
    coalesce(order_days_365, 0) as order_days_365,
    coalesce(active_months_365, 0) as active_months_365,
    -- Weights halve about every 90 days, in steps at the windows' edges.
    0.15 * coalesce(order_days_7, 0) + 0.15 * coalesce(order_days_30, 0)
        + 0.25 * coalesce(order_days_90, 0) + 0.25 * coalesce(order_days_180, 0)
        + 0.20 * coalesce(order_days_365, 0) as order_days_decayed,
    -- As if 0.7 of an order day in 60 days had been seen of everybody before their first.
    30 * (order_days + 0.7) / (tenure_days + 60) as order_days_a_month,
    -- trend
    case
        when tenure_days >= 180
        then order_days_90 / nullif(order_days_180 - order_days_90, 0)::double
    end as order_days_trend,
    case
        when tenure_days >= 180 then amount_90 / nullif(amount_180 - amount_90, 0)
    end as amount_trend,
    case
        when order_days_365 > 0 then order_days_90 / order_days_365::double
    end as order_days_share_90,
    -- spend
    coalesce(amount_7, 0) / 10000 as amount_7,
    coalesce(amount_30, 0) / 10000 as amount_30,
    coalesce(amount_90, 0) / 10000 as amount_90,
    coalesce(amount_365, 0) / 10000 as amount_365,
    amount / 10000 as amount_total,
    amount / order_days / 10000 as amount_an_order_day,
    last_amount * order_days / nullif(amount, 0) as amount_last_to_usual,
    -- price
    discount_365 / nullif(discount_365 + discount_known_amount_365, 0) as discount_share_365,
    discount_90 / nullif(discount_90 + discount_known_amount_90, 0) as discount_share_90,
    -- service
    case
        when amount_365 > 0 then returned_365 / amount_365
    end as return_share_365,
    coalesce(return_days_365, 0) as return_days_365,
    -- assortment
    nullif(categories, 0) as categories_total,
    case when categories > 0 then coalesce(new_categories_90, 0) end as categories_new_90,
    nullif(channels, 0) as channels_total,
    coalesce(weekdays_365, 0) as weekdays_365,
    lines_365 / nullif(order_days_365, 0)::double as lines_an_order_day_365,
    case
        when order_days_90 > 0 and lines_365 > 0
        then (lines_90 / order_days_90::double) / (lines_365 / order_days_365::double)
    end as lines_trend,
    -- tenure
    tenure_days,
    order_days as order_days_total,
    -- season: only of who was a customer a year ago
    case when tenure_days >= 365 then coalesce(order_days_year_ago, 0) end as order_days_year_ago,
    case
        when tenure_days >= 365 then coalesce(amount_year_ago, 0) / 10000
    end as amount_year_ago,
    case
        when tenure_days >= 365 and order_days_365 > 0
        then order_days_year_ago / order_days_365::double
    end as order_days_year_ago_share,
    season_index,
    year_sine,
    year_cosine
from cadence;
