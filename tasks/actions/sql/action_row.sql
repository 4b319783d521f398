-- Grain: one row a customer of a list, contacted or held out, unnamed as yet.
insert into action_row by name
select
    person.customer_id,
    $listed_for as listed_for,
    row_number() over (
        partition by chosen.held_out order by chosen.gain desc, person.tie, person.customer_id
    ) as rank,
    chosen.held_out,
    chosen.action,
    offer.action_name,
    offer.action_name_ko,
    offer.channel,
    person.segment_id,
    person.segment_name,
    case when $listed_for = 'retention' then person.risk_band end as risk_band,
    person.value_band,
    person.driver,
    person.probability,
    person.silent_days,
    person.value_amount,
    offer.contact_cost_amount,
    offer.offer_cost_amount,
    chosen.cost as planned_cost_amount,
    chosen.gain as expected_return_amount,
    $currency as currency,
    $as_of::timestamptz as as_of,
    $known_by::timestamptz as known_by,
    person.scoring_id,
    person.stale_days,
    person.stale_sources,
    evidence.level as evidence_level,
    evidence.basis as evidence_basis
from chosen
inner join person using (person_number)
inner join policy_offer as offer using (action)
inner join evidence
    on evidence.person_number = chosen.person_number and evidence.action = chosen.action
