-- Grain: one row a customer of the chunk, with everything about him that does not change.
create or replace temp table population as
with numbered as (
    select
        range::ubigint as number,
        customer_key($seed, range) as key
    from range($first::bigint, $last::bigint)
),

drawn as (
    select
        number,
        key,
        case
            when uniform(key, 1) < $first_share then uniform(key, 2) * $first_days
            else uniform(key, 2) * $window_days
        end as joined_day,
        uniform(key, 3) < $hunter_share as is_hunter,
        gamma_draw(key, 100, $purchase_shape::double)
            / $purchase_shape * $purchases_a_year / 365.25 as purchase_rate,
        gamma_draw(key, 200, $dropout_shape::double)
            / $dropout_shape * $dropouts_a_year / 365.25 as plain_dropout_rate,
        -ln(uniform(key, 4)) as endurance,
        uniform(key, 5) as kind_draw,
        uniform(key, 6) < $holdout_share as is_held_out,
        floor(uniform(key, 7) * $categories)::integer as favourite,
        $quantity_scale * exp(0.4 * normal(key, 8)) as quantity_scale,
        floor(uniform(key, 10) * 3)::integer as home_channel,
        list_extract(['north', 'east', 'south', 'west'], 1 + floor(uniform(key, 11) * 4)::integer)
            as region,
        case
            when uniform(key, 12) >= 0.08
                then list_extract(
                    ['18-29', '30-44', '45-59', '60+'], 1 + floor(uniform(key, 13) * 4)::integer
                )
        end as age_band
    from numbered
)

select
    drawn.number,
    drawn.key,
    drawn.joined_day,
    calendar.passed
        + calendar.mass * share_of_day(drawn.joined_day - calendar.day) as joined_passed,
    drawn.is_hunter,
    drawn.purchase_rate,
    drawn.plain_dropout_rate
        * case when drawn.is_hunter then $hunter_ratio else 1.0 end as dropout_rate,
    drawn.endurance,
    contact_kinds.kind as contact_kind,
    contact_kinds.hazard_ratio as contact_ratio,
    contact_kinds.open_share,
    contact_kinds.click_share,
    contact_kinds.response_share,
    contact_kinds.opt_out_share,
    drawn.is_held_out,
    drawn.favourite,
    drawn.quantity_scale,
    case when drawn.is_hunter then $hunter_discount_share else $discount_share end
        as discount_share,
    drawn.home_channel,
    drawn.region,
    drawn.age_band,
    -- What an order brings on average, after discounts (20 % where there is one) and returns.
    $lines_mean * (1.0 + geometric_mean(drawn.quantity_scale))
        * ($favourite_share * category_prices.mean_price_cents
            + (1.0 - $favourite_share)
                * (select sum(mean_price_cents::decimal(18, 6))::double / count(*)
                   from category_prices)) / 100.0
        * (1.0 - 0.2 * case when drawn.is_hunter then $hunter_discount_share
                            else $discount_share end)
        * (1.0 - $return_share) as order_amount_mean
from drawn
join calendar on calendar.day = floor(drawn.joined_day)::integer
join contact_kinds
    on drawn.kind_draw >= contact_kinds.draw_from and drawn.kind_draw < contact_kinds.draw_to
join category_prices on category_prices.category = drawn.favourite
order by drawn.number;
