-- Grain: one row a customer of this scoring run, as it is published and exported.
-- What a contact is expected to bring (Verbraken et al. 2013, equation 5): of those who would
-- leave, the share that accepts brings the margin less the offer; whoever would stay takes the
-- offer too; every contact costs. Equal returns are ordered by a hash of the id, so that the list
-- is the same each time and favours nobody by name.
create or replace temporary table ranked_scores as
-- Whom a rollout's challenger has scored is ranked by that score, among all.
with scored as (
    select
        champion.customer_id,
        champion.value_amount,
        coalesce(arm.probability, champion.probability) as probability,
        case when arm.customer_id is null then champion.reason_1 else arm.reason_1 end as reason_1,
        case when arm.customer_id is null then champion.reason_2 else arm.reason_2 end as reason_2,
        case when arm.customer_id is null then champion.reason_3 else arm.reason_3 end as reason_3,
        coalesce(arm.model_name, $model_name) as model_name,
        coalesce(arm.model_version, $model_version::integer) as model_version,
        coalesce(arm.model_hash, $model_hash) as model_hash
    from scored_customers as champion
    left join arm_scores as arm using (customer_id)
),
valued as (
    select *, greatest(coalesce(value_amount, 0), 0)::double as known_value
    from scored
),
expected as (
    select *,
        probability
            * ($accept_share::double * (known_value * $margin_share::double - $offer_cost::double)
               - $contact_cost::double)
        + (1 - probability) * (-$offer_cost::double - $contact_cost::double) as expected_return
    from valued
)
select
    customer_id,
    row_number() over (order by expected_return desc, sha256(customer_id), customer_id) as rank,
    probability,
    round(100 * cume_dist() over (order by probability), 4) as percentile,
    value_amount,
    expected_return::decimal(18, 4) as expected_return_amount,
    (probability * known_value)::decimal(18, 4) as money_at_risk_amount,
    $currency as currency,
    reason_1,
    reason_2,
    reason_3,
    $as_of::timestamptz as as_of,
    $known_by::timestamptz as known_by,
    model_name,
    model_version,
    model_hash,
    $scoring_id as scoring_id,
    $stale_days::double as stale_days,
    $stale_sources::varchar as stale_sources
from expected
