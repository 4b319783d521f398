-- Grain: one row a campaign and customer who could have been drawn: had ordered, not opted out before.
-- Whether they were drawn does not enter, nor anything that came after the lot.
create or replace temporary table eligible as
with picked as (
    select * from campaign where list_contains($campaign_ids::varchar[], campaign_id)
),
ordered as (
    select customer_id, ordered_at from {orders} where not is_return
),
known as (
    select customer_id, min(ordered_at) as first_at from ordered group by customer_id
),
pair as (
    select picked.campaign_id, picked.decided_at, known.customer_id
    from picked
    inner join known on known.first_at < picked.decided_at
),
seen as (
    select pair.*, ordered.ordered_at as last_at
    from pair
    asof join ordered
        on ordered.customer_id = pair.customer_id and pair.decided_at > ordered.ordered_at
),
gone_out as (
    select customer_id, min(opted_out_at) as opted_out_at
    from contact
    where opted_out_at is not null
    group by customer_id
)
select
    seen.campaign_id,
    seen.decided_at,
    seen.customer_id,
    seen.last_at >= seen.decided_at - to_days($activity_window_days::integer) as is_active,
    drawn.customer_id is not null as treated
from seen
left join gone_out using (customer_id)
left join (select distinct campaign_id, customer_id from contact) as drawn
    on drawn.campaign_id = seen.campaign_id and drawn.customer_id = seen.customer_id
where coalesce(gone_out.opted_out_at >= seen.decided_at, true)
