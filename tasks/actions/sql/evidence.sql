-- Grain: one row a customer and action that a rule allows: on which level what is expected rests.
-- What is known of a customer's segment and of their reason may differ: the lower of the two counts,
-- and what is known of everybody only where neither is.
create or replace temporary table evidence as
select
    fitting.person_number,
    fitting.action,
    coalesce(max(effect.level), 0)::integer as level,
    coalesce(
        min(effect.gain_share) filter (effect.segment_id is not null or effect.driver is not null),
        min(effect.gain_share)
    ) as gain_share,
    coalesce(
        min(effect.gain_amount) filter (effect.segment_id is not null or effect.driver is not null),
        min(effect.gain_amount)
    ) as gain_amount
from fitting
inner join person using (person_number)
left join policy_effect as effect
    on effect.action = fitting.action
    and (effect.segment_id is null or effect.segment_id = person.segment_id)
    and (effect.driver is null or effect.driver = person.driver)
group by fitting.person_number, fitting.action
