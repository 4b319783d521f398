-- Grain: one row a customer of the newest night whose scores have matured: score and outcome.
with matured as (
    select arg_max(score.scoring_id, (score.as_of, export.exported_at)) as scoring_id
    from (select distinct scoring_id, as_of from lake.main.scores) as score
    inner join lake.ledger.exports as export
        on export.export_id = score.scoring_id and export.kind = 'scores.parquet'
    where score.as_of + to_days($horizon_days::integer) <= $as_of::timestamptz
),
scored as (
    select customer_id, probability, as_of
    from lake.main.scores
    semi join matured using (scoring_id)
),
stayed as (
    select distinct bought.customer_id
    from {orders} as bought
    inner join scored on scored.customer_id = bought.customer_id
    where not bought.is_return
        and bought.ordered_at >= scored.as_of
        and bought.ordered_at < scored.as_of + to_days($horizon_days::integer)
)
select
    scored.probability,
    (stayed.customer_id is null)::integer::double as lapsed,
    scored.as_of
from scored
left join stayed using (customer_id)
order by scored.customer_id
