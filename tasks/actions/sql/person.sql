-- Grain: one row a scored customer: how likely they leave, what they are worth, group and reason.
create or replace temporary table {staged} as
with known as (
    select
        score.customer_id,
        coalesce(worth.churn_probability, score.probability) as probability,
        greatest(
            coalesce(
                worth.value_amount,
                (score.value_amount * $margin_share::double)::decimal(18, 4),
                0
            ),
            0
        )::decimal(18, 4) as value_amount,
        segment.segment_id,
        segment.segment_name,
        reason.driver,
        null::integer as silent_days,
        score.scoring_id,
        score.stale_days,
        score.stale_sources
    from lake.main.scores score
    left join lake.main.customer_values worth
        on worth.customer_id = score.customer_id
        and worth.run_id = $values_id and worth.as_of = $as_of
    left join lake.main.customer_segments segment
        on segment.customer_id = score.customer_id
        and segment.run_id = $segments_id and segment.as_of = $as_of
    left join lake.main.customer_reasons reason
        on reason.customer_id = score.customer_id
        and reason.run_id = $reasons_id and reason.as_of = $as_of
    where score.scoring_id = $scoring_id and score.as_of = $as_of
),
{banded}
