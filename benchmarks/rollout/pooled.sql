-- Grain: one row a rollout: what is seen by who counts everybody from the first day on, with the
-- arm they have that day, and pools all days.
select
    drawn.rollout_id,
    count(*) filter (where not served) as champion,
    count(*) filter (where served) as challenger,
    count(*) filter (where lapsed and not served) as champion_events,
    count(*) filter (where lapsed and served) as challenger_events
from (
    select
        drawn.rollout_id,
        drawn.bucket < serving.buckets as served,
        drawn.draw
            < rate.share - case when drawn.bucket < serving.buckets then $effect::double else 0 end
            as lapsed
    from {drawn} as drawn
    inner join serving on serving.day = drawn.seen_on
    inner join rate on rate.day = drawn.seen_on
    where drawn.seen_on + $horizon_days <= $day
) as drawn
group by drawn.rollout_id
order by drawn.rollout_id
