-- Grain: one row a customer of a matured scoring: the last night of each week and model version,
-- so that a customer counts once a week; of several runs of a night the one exported last.
create or replace temporary table scored_week as
with scored as (
    select distinct as_of, scoring_id, model_version, model_hash
    from lake.main.scores
    where as_of + to_days($horizon_days::integer) <= $as_of and as_of >= $since
),
night as (
    select scored.*
    from scored
    inner join lake.ledger.exports as export
        on export.export_id = scored.scoring_id and export.kind = 'scores.parquet'
    qualify row_number() over (partition by scored.as_of order by export.exported_at desc) = 1
),
chosen as (
    select *, date_trunc('week', as_of) as week
    from night
    qualify row_number() over (
        partition by model_hash, date_trunc('week', as_of) order by as_of desc
    ) = 1
),
contacted as (
    select distinct customer_id, as_of from lake.main.customer_actions where not held_out
)
select
    score.customer_id,
    score.as_of,
    chosen.week,
    chosen.model_version,
    chosen.model_hash,
    score.probability,
    score.value_amount::double as value_amount,
    score.expected_return_amount::double as expected_return_amount,
    {is_held_out} as held_out,
    contacted.customer_id is not null as contacted
from lake.main.scores as score
inner join chosen using (scoring_id)
left join contacted
    on contacted.customer_id = score.customer_id and contacted.as_of = score.as_of
