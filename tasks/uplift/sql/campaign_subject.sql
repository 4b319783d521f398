-- Grain: one row a lot and eligible customer of one declared campaign, with group and reason as they
-- were published before the lot; what was found out later could come of it.
insert into subject by name
with held_out as (
    select distinct customer_id, recorded_at
    from {customers}
    where $hold_out_attribute::varchar is not null
        and list_contains(
            $hold_out_values::varchar[], map_extract_value(attributes, $hold_out_attribute::varchar)
        )
),
first_held_out as (
    select customer_id, min(recorded_at) as recorded_at from held_out group by customer_id
),
newest as (
    select kind, as_of, arg_max(finding_id, recorded_at) as run_id
    from lake.ledger.findings
    where kind in ('segments', 'reasons') and as_of < $as_of
    group by kind, as_of
),
grouped as (
    select customer_id, as_of, segment_id
    from lake.main.customer_segments
    where run_id in (select run_id from newest where kind = 'segments')
),
reasoned as (
    select customer_id, as_of, driver
    from lake.main.customer_reasons
    where run_id in (select run_id from newest where kind = 'reasons')
),
drawn as (
    select eligible.*
    from eligible
    left join first_held_out
        on first_held_out.customer_id = eligible.customer_id
        and first_held_out.recorded_at < eligible.decided_at
    where first_held_out.customer_id is null and eligible.is_active = $is_active
)
select
    $listed_for as listed_for,
    $action as action,
    $source as source,
    drawn.campaign_id as lot,
    $lot_share::double as lot_share,
    drawn.customer_id,
    drawn.treated,
    drawn.decided_at,
    -- Older than two months they say little of who somebody was then.
    case when grouped.as_of >= drawn.decided_at - to_days(62) then grouped.segment_id end
        as segment_id,
    case when reasoned.as_of >= drawn.decided_at - to_days(62) then reasoned.driver end as driver
from drawn
asof left join grouped
    on grouped.customer_id = drawn.customer_id and drawn.decided_at >= grouped.as_of
asof left join reasoned
    on reasoned.customer_id = drawn.customer_id and drawn.decided_at >= reasoned.as_of
