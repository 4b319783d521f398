-- One row a customer and cut-off: what their orders say. Money in the currency's units.
create or replace temporary view orders_features as
with joined as (
    select
        seen.*,
        season.season_index,
        season.year_sine,
        season.year_cosine,
        list_median(order_gaps.gaps[1:seen.order_days - 1]) as median_gap_days,
        (cutoff.as_of_day - seen.last_order_day)::double as recency_days,
        (cutoff.as_of_day - seen.first_order_day)::double as tenure_days,
        (seen.last_order_day - seen.first_order_day)::double as gap_total_days,
        (seen.order_days - 1)::double as gaps
    from order_window seen
    inner join cutoff using (cutoff_number)
    inner join season using (cutoff_number)
    left join order_gaps on order_gaps.customer_number = seen.customer_number
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
    order_days_7,
    order_days_30,
    order_days_90,
    order_days_180,
    order_days_365,
    active_months_365,
    -- Weights halve about every 90 days, in steps at the windows' edges.
    0.15 * order_days_7 + 0.15 * order_days_30
        + 0.25 * order_days_90 + 0.25 * order_days_180
        + 0.20 * order_days_365 as order_days_decayed,
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
    amount_7 / 10000 as amount_7,
    amount_30 / 10000 as amount_30,
    amount_90 / 10000 as amount_90,
    amount_365 / 10000 as amount_365,
    amount / 10000 as amount_total,
    amount / order_days / 10000 as amount_an_order_day,
    last_amount::double * order_days / nullif(amount, 0) as amount_last_to_usual,
    -- price
    discount_365 / nullif(discount_365 + discount_known_amount_365, 0) as discount_share_365,
    discount_90 / nullif(discount_90 + discount_known_amount_90, 0) as discount_share_90,
    -- service
    case
        when amount_365 > 0 then returned_365 / amount_365::double
    end as return_share_365,
    return_days_365,
    -- assortment
    nullif(categories, 0) as categories_total,
    case when categories > 0 then new_categories_90 end as categories_new_90,
    nullif(channels, 0) as channels_total,
    weekdays_365,
    lines_365 / nullif(order_days_365, 0)::double as lines_an_order_day_365,
    case
        when order_days_90 > 0 and lines_365 > 0
        then (lines_90 / order_days_90::double) / (lines_365 / order_days_365::double)
    end as lines_trend,
    -- tenure
    tenure_days,
    order_days as order_days_total,
    -- season: only of who was a customer a year ago
    case when tenure_days >= 365 then order_days_year_ago end as order_days_year_ago,
    case
        when tenure_days >= 365 then amount_year_ago / 10000
    end as amount_year_ago,
    case
        when tenure_days >= 365 and order_days_365 > 0
        then order_days_year_ago / order_days_365::double
    end as order_days_year_ago_share,
    season_index,
    year_sine,
    year_cosine
from cadence;
