-- Grain: one row a customer and action that a rule allows: on which level what is expected rests.
-- The customer's own uplift counts where it was told. Else what is known of their segment and of
-- their reason, of which the lower counts; and what is known of everybody only where neither is.
-- Where the segment or the reason is known to be harmed, no own uplift makes it better.
create or replace temporary table evidence as
with told as (
    select
        fitting.person_number,
        fitting.action,
        coalesce(max(effect.level), 0)::integer as level,
        min(effect.gain_share) filter (effect.is_inner) as inner_share,
        min(effect.gain_amount) filter (effect.is_inner) as inner_amount,
        min(effect.gain_share) as any_share,
        min(effect.gain_amount) as any_amount,
        any_value(own.gain_share) as own_share,
        any_value(own.gain_amount) as own_amount
    from fitting
    inner join person using (person_number)
    left join (
        select *, segment_id is not null or driver is not null as is_inner from policy_effect
    ) as effect
        on effect.action = fitting.action
        and (effect.segment_id is null or effect.segment_id = person.segment_id)
        and (effect.driver is null or effect.driver = person.driver)
    left join own_uplift as own
        on own.customer_id = person.customer_id and own.action = fitting.action
    group by fitting.person_number, fitting.action
),
weighed as (
    select
        *,
        coalesce(own_share, own_amount) is not null
            and coalesce(inner_share >= 0 or inner_share >= own_share, true)
            and coalesce(inner_amount >= 0 or inner_amount >= own_amount, true) as is_own
    from told
)
select
    person_number,
    action,
    case when is_own then 3 else level end as level,
    case when is_own then own_share else coalesce(inner_share, any_share) end as gain_share,
    case when is_own then own_amount else coalesce(inner_amount, any_amount) end as gain_amount,
    case
        when is_own then 'own_uplift'
        when coalesce(any_share, any_amount) is not null then 'measured'
        else 'guess'
    end as basis
from weighed
