-- Grain: one row a stretch of a customer's time in which the multiplier of his hazard is constant.
-- Overlapping effects of one sort count once; hazards are whole numbers of 2^-40, so that their
-- sum is the same in any order.
create or replace temp table hazard_pieces as
with turns as (
    select number, joined_day as at_day, 0 as complaints, 0 as contacts from population
    union all
    select number, opened_day, 1, 0 from potential_tickets where is_complaint
    union all
    select number, opened_day + $complaint_effect_days, -1, 0
    from potential_tickets
    where is_complaint
    union all
    select number, contacted_day, 0, 1 from potential_contacts
    union all
    select number, contacted_day + $contact_effect_days, 0, -1 from potential_contacts
),

running as (
    select
        number,
        at_day as from_day,
        lead(at_day) over by_time as to_day,
        sum(complaints) over by_time as complaints,
        sum(contacts) over by_time as contacts
    from turns
    window by_time as (partition by number order by at_day rows unbounded preceding)
),

weighed as (
    select
        running.number,
        population.endurance,
        population.dropout_rate,
        running.from_day,
        running.to_day,
        population.joined_day,
        running.complaints > 0 as after_complaint,
        running.contacts > 0 as after_contact,
        case when running.complaints > 0 then $complaint_ratio else 1.0 end
            * case when running.contacts > 0 then population.contact_ratio else 1.0 end
            as multiplier
    from running
    join population on population.number = running.number
    -- Turns at the same moment leave pieces without length.
    where running.to_day is null or running.to_day > running.from_day
),

hazards as (
    select
        *,
        round(
            least(
                dropout_rate * multiplier
                * (aged(to_day - joined_day, $ageing) - aged(from_day - joined_day, $ageing)),
                100000.0
            ) * 1099511627776.0
        )::bigint as hazard_units
    from weighed
)

select
    number,
    from_day,
    to_day,
    joined_day,
    dropout_rate,
    endurance,
    after_complaint,
    after_contact,
    multiplier,
    hazard_units,
    coalesce(
        sum(hazard_units) over (
            partition by number order by from_day
            rows between unbounded preceding and 1 preceding
        ),
        0
    )::bigint as hazard_units_before
from hazards;
