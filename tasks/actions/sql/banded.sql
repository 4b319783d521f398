-- Grain: one row a customer of `known`; the end of both queries that stage a list.
ranked as (
    select *,
        (rank() over (order by value_amount) - 1) / count(*) over () as worth_more_share,
        sha256(customer_id) as tie,
        -- Who is held out is so for ever: it hangs on the salt and the id alone.
        {is_held_out} as held_out
    from known
)
select
    row_number() over (order by ranked.customer_id) as person_number,
    ranked.* exclude (worth_more_share),
    risk_band.name as risk_band,
    value_band.name as value_band,
    coalesce(touched.opted_out, false) as opted_out,
    coalesce(touched.contacts, 0) >= $maximum_contacts::bigint as contacted_lately
from ranked
asof join risk_band on ranked.probability >= risk_band.start
asof join value_band on ranked.worth_more_share >= value_band.start
left join touched on touched.customer_id = ranked.customer_id
