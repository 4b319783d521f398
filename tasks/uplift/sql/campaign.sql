-- Grain: one row a campaign that went out: when, to how many, and who says that it went by lot.
create or replace temporary table campaign as
select
    campaign_id,
    date_trunc('day', min(contacted_at)) as decided_at,
    max(contacted_at) as ended_at,
    count(distinct customer_id) as customers
from contact
where campaign_id is not null
group by campaign_id
