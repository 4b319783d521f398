-- Grain: one row a contact sent: by lot among the customers of that day who have not opted out.
-- The company does not know who has left, so it writes to them too.
create or replace temp table potential_contacts as
with campaigns as (
    select
        range::integer as campaign,
        ((range + 0.5) * $campaign_every_days)::double as campaign_day
    from range(floor($horizon_day / $campaign_every_days)::bigint)
),

drawn as (
    select
        population.number,
        campaigns.campaign,
        floor(campaigns.campaign_day) as campaign_day,
        part_key(population.key, 3000000 + campaigns.campaign) as contact_key,
        population.opt_out_share
    from population
    join campaigns
        on population.joined_day < floor(campaigns.campaign_day)
    where
        not population.is_held_out
        and uniform(part_key(population.key, 3000000 + campaigns.campaign), 1) < $contact_share
),

sent as (
    select
        number, campaign, contact_key,
        -- Sent between 9 and 11 in the morning.
        campaign_day + (9.0 + 2.0 * uniform(contact_key, 2)) / 24.0 as contacted_day,
        uniform(contact_key, 3) < opt_out_share as opts_out
    from drawn
),

ends as (
    select number, min(campaign) as last_campaign
    from sent
    where opts_out
    group by number
)

select sent.*
from sent
left join ends on ends.number = sent.number
where sent.campaign <= coalesce(ends.last_campaign, sent.campaign);
