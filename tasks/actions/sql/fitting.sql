-- Grain: one row a customer and an action that a rule allows; `none` leaves the customer alone.
create or replace temporary table fitting as
select distinct person.person_number, rule.action
from person
inner join policy_rule as rule
    on (len(rule.segments) = 0
        or list_contains(rule.segments, person.segment_id)
        or list_contains(rule.segments, person.segment_name))
    and (len(rule.risk) = 0 or list_contains(rule.risk, person.risk_band))
    and (len(rule.reasons) = 0 or list_contains(rule.reasons, person.driver))
    and (len(rule.value) = 0 or list_contains(rule.value, person.value_band))
    and (rule.longest_silence_days is null or person.silent_days <= rule.longest_silence_days)
where not person.opted_out and not person.contacted_lately
