-- Grain: one row a customer of the newest night whose scores have matured: score and outcome.
-- Where a list went out within their horizon, of those held out alone: who was contacted for being
-- at risk and stayed for it, or left for it, tells nothing of the ranking.
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
listed as (
    select exists (
        select 1
        from lake.main.customer_actions as action
        inner join scored using (customer_id)
        where not action.held_out
            and action.as_of >= scored.as_of
            and action.as_of < scored.as_of + to_days($horizon_days::integer)
    ) as any_contacted
),
judged as (
    select scored.*, listed.any_contacted as only_held_out
    from scored
    cross join listed
    where not listed.any_contacted or {is_held_out}
),
stayed as (
    select distinct bought.customer_id
    from {orders} as bought
    inner join judged on judged.customer_id = bought.customer_id
    where not bought.is_return
        and bought.ordered_at >= judged.as_of
        and bought.ordered_at < judged.as_of + to_days($horizon_days::integer)
)
select
    judged.probability,
    (stayed.customer_id is null)::integer::double as lapsed,
    judged.as_of,
    judged.only_held_out
from judged
left join stayed using (customer_id)
order by judged.customer_id
