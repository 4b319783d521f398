-- Grain: one row a customer and an action that is expected to bring more than it costs.
-- Verbraken et al. 2013, equation 5, as the scores are ranked: of those who would leave, the share
-- that accepts brings the value less the offer; whoever would stay takes the offer too; every
-- contact costs. Where a lot has told what the action does for customers like this one, the share
-- that it keeps takes the place of the guess; or, told in margin, all that it brings, less an offer
-- for everybody. `cost` is the worst case: everybody takes the offer.
create or replace temporary table candidate as
with priced as (
    select
        person.person_number,
        person.tie,
        person.held_out,
        offer.action,
        (offer.contact_cost_amount + offer.offer_cost_amount)::decimal(18, 4) as cost,
        case
            when evidence.gain_amount is not null then
                evidence.gain_amount
                - offer.offer_cost_amount::double
                - offer.contact_cost_amount::double
            when evidence.gain_share is not null then
                evidence.gain_share * (person.value_amount - offer.offer_cost_amount)::double
                - (1 - person.probability) * offer.offer_cost_amount::double
                - offer.contact_cost_amount::double
            else
                person.probability * (
                    offer.accept_share * (person.value_amount - offer.offer_cost_amount)::double
                    - offer.contact_cost_amount::double
                )
                + (1 - person.probability)
                    * (-offer.offer_cost_amount::double - offer.contact_cost_amount::double)
        end::decimal(18, 4) as gain
    from evidence
    inner join person using (person_number)
    inner join policy_offer as offer using (action)
    where evidence.person_number not in (
        select person_number from fitting where action = $leave_alone
    )
)
select * from priced where gain > 0
