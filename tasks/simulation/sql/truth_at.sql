-- Grain: one customer who had come by $as_of_day: what an observer knows then who knows everything
-- but the chances of leaving and of ordering. Three futures: contacts as they were sent, one
-- contact at $as_of_day and no other, none.
with days as (
    select day, mass
    from calendar
    where day >= $as_of_day and day < $as_of_day + $horizon_days
),

contacted_before as (
    select number, max(contacted_day) + $contact_effect_days as effect_ends_day
    from potential_contacts
    where contacted_day < $as_of_day
    group by number
),

spans as (
    select
        hazard_pieces.number,
        lives.purchase_rate,
        lives.dropout_rate,
        lives.contact_ratio,
        lives.joined_day,
        hazard_pieces.multiplier,
        case when hazard_pieces.after_complaint then $complaint_ratio else 1.0 end
            as complaint_multiplier,
        contacted_before.effect_ends_day,
        days.day,
        days.mass,
        greatest(hazard_pieces.from_day, days.day) as from_day,
        least(coalesce(hazard_pieces.to_day, 1e9), days.day + 1) as to_day
    from lives
    join hazard_pieces on hazard_pieces.number = lives.number
    left join contacted_before on contacted_before.number = lives.number
    join days
        on hazard_pieces.from_day < days.day + 1
        and coalesce(hazard_pieces.to_day, 1e9) > days.day
    where
        lives.joined_day < $as_of_day
        and lives.dropped_out_day >= $as_of_day
        and coalesce(hazard_pieces.to_day, 1e9) > $as_of_day
        and hazard_pieces.from_day < $as_of_day + $horizon_days
),

steps as (
    select
        number,
        from_day,
        purchase_rate * mass * (share_of_day(to_day - day) - share_of_day(from_day - day))
            as orders,
        dropout_rate * (aged(to_day - joined_day, $ageing) - aged(from_day - joined_day, $ageing))
            as plain,
        multiplier,
        complaint_multiplier
            * case
                when from_day < $as_of_day + $contact_effect_days
                    or from_day < coalesce(effect_ends_day, 0.0)
                    then contact_ratio
                else 1.0
            end as contacted_multiplier,
        complaint_multiplier
            * case when from_day < coalesce(effect_ends_day, 0.0) then contact_ratio else 1.0 end
            as untouched_multiplier
    from spans
),

running as (
    select
        number,
        orders,
        plain * multiplier as hazard,
        plain * contacted_multiplier as contacted_hazard,
        plain * untouched_multiplier as untouched_hazard,
        coalesce(sum(orders) over before, 0.0) as orders_before,
        coalesce(sum(plain * multiplier) over before, 0.0) as hazard_before,
        coalesce(sum(plain * contacted_multiplier) over before, 0.0) as contacted_before,
        coalesce(sum(plain * untouched_multiplier) over before, 0.0) as untouched_before
    from steps
    window before as (
        partition by number order by from_day rows between unbounded preceding and 1 preceding
    )
),

-- Within a step, at most a day, the two hazards keep their ratio: leaving comes first with
-- probability h / (h + o), given that one of the two comes.
futures as (
    select
        number,
        1.0 - exp(-sum(hazard)) as dropout_probability,
        1.0 - exp(-sum(contacted_hazard)) as dropout_probability_contacted,
        1.0 - exp(-sum(untouched_hazard)) as dropout_probability_untouched,
        exp(-sum(hazard) - sum(orders)) + sum(leaves_first(hazard, orders, hazard_before, orders_before))
            as lapse_probability,
        exp(-sum(contacted_hazard) - sum(orders))
            + sum(leaves_first(contacted_hazard, orders, contacted_before, orders_before))
            as lapse_probability_contacted,
        exp(-sum(untouched_hazard) - sum(orders))
            + sum(leaves_first(untouched_hazard, orders, untouched_before, orders_before))
            as lapse_probability_untouched,
        sum(orders_lived(hazard, orders, hazard_before)) as orders_mean,
        sum(orders_lived(contacted_hazard, orders, contacted_before)) as orders_mean_contacted,
        sum(orders_lived(untouched_hazard, orders, untouched_before)) as orders_mean_untouched
    from running
    group by number
)

select
    'C' || lpad(lives.number::varchar, 9, '0') as customer_id,
    futures.number is not null as is_alive,
    lives.contact_kind,
    lives.is_held_out,
    coalesce(futures.dropout_probability, 1.0) as dropout_probability,
    coalesce(futures.lapse_probability, 1.0) as lapse_probability,
    coalesce(futures.orders_mean, 0.0) as orders_mean,
    coalesce(futures.orders_mean, 0.0) * lives.order_amount_mean as spend_mean,
    -- What one contact at that moment changes, against none.
    coalesce(futures.dropout_probability_contacted - futures.dropout_probability_untouched, 0.0)
        as contact_effect_on_dropout,
    coalesce(futures.lapse_probability_contacted - futures.lapse_probability_untouched, 0.0)
        as contact_effect_on_lapse,
    coalesce(futures.orders_mean_contacted - futures.orders_mean_untouched, 0.0)
        * lives.order_amount_mean as contact_effect_on_spend
from lives
left join futures on futures.number = lives.number
where lives.joined_day < $as_of_day
order by lives.number
