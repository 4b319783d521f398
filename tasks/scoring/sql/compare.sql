-- Grain: one row, two rankings of customers held against each other.
with paired as (
    select
        before.customer_id is not null as there_before,
        after.customer_id is not null as there_after,
        after.probability - before.probability as change,
        coalesce(before.is_listed, false) as listed_before,
        coalesce(after.is_listed, false) as listed_after,
        before.expected_return_amount as return_before,
        after.expected_return_amount as return_after,
        before.money_at_risk_amount as at_risk_before,
        after.money_at_risk_amount as at_risk_after
    from ranking_before as before
    full join ranking_after as after on before.customer_id = after.customer_id
)
select
    count(*) filter (there_before) as customers_before,
    count(*) filter (there_after) as customers_after,
    count(*) filter (there_before and there_after) as customers_both,
    count(*) filter (abs(change) > $threshold::double) as scores_moved,
    max_by(change, abs(change)) as largest_change,
    coalesce(sum(at_risk_before), 0)::decimal(38, 4) as at_risk_before_amount,
    coalesce(sum(at_risk_after), 0)::decimal(38, 4) as at_risk_after_amount,
    count(*) filter (listed_before) as list_before,
    count(*) filter (listed_after) as list_after,
    count(*) filter (listed_after and not listed_before) as entering,
    count(*) filter (listed_before and not listed_after) as leaving,
    coalesce(sum(return_after) filter (listed_after and not listed_before), 0)::decimal(38, 4)
        as entering_return_amount,
    coalesce(sum(return_before) filter (listed_before and not listed_after), 0)::decimal(38, 4)
        as leaving_return_amount,
    coalesce(sum(return_before) filter (listed_before), 0)::decimal(38, 4)
        as list_return_before_amount,
    coalesce(sum(return_after) filter (listed_after), 0)::decimal(38, 4)
        as list_return_after_amount
from paired
