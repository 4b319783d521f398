-- Grain: one row a scored customer: how likely they leave, what they are worth, group and reason.
create or replace temporary table {staged} as
with scored as (
    select
        score.customer_id,
        coalesce(worth.churn_probability, score.probability) as probability,
        worth.value_amount,
        worth.horizon_days,
        (score.value_amount * $margin_share::double)::decimal(18, 4) as year_amount,
        score.scoring_id,
        score.stale_days,
        score.stale_sources
    from lake.main.scores score
    left join lake.main.customer_values worth
        on worth.customer_id = score.customer_id
        and worth.run_id = $values_id and worth.as_of = $as_of
    where score.scoring_id = $scoring_id and score.as_of = $as_of
),
-- Of the average customer, the part that stays for a day. Summed exactly, whatever the order.
pace as (
    select power(
        greatest(1 - (sum(probability::decimal(18, 9)) / count(*))::double, 0),
        1.0 / $horizon_days::integer
    ) as staying_share
    from scored
),
-- Who is kept goes on to leave as others do: a value that looks less far is carried on so.
carried as (
    select
        horizon_days,
        case
            when horizon_days >= $worth_days::integer then 1
            when staying_share >= 1 then $worth_days::double / horizon_days
            else (1 - power(staying_share, $worth_days::integer))
                / (1 - power(staying_share, horizon_days))
        end as multiple
    from (select distinct horizon_days from scored where horizon_days is not null)
    cross join pace
),
known as (
    select
        score.customer_id,
        score.probability,
        greatest(
            coalesce(
                (score.value_amount * round(carried.multiple, 6))::decimal(18, 4),
                score.year_amount,
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
    from scored score
    left join carried using (horizon_days)
    left join lake.main.customer_segments segment
        on segment.customer_id = score.customer_id
        and segment.run_id = $segments_id and segment.as_of = $as_of
    left join lake.main.customer_reasons reason
        on reason.customer_id = score.customer_id
        and reason.run_id = $reasons_id and reason.as_of = $as_of
),
{banded}
