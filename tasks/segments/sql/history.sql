-- Grain: one segment of an earlier night, by the newest findings of that night; oldest first.
-- A night of a rollout tells sizes that two segmentations have made together: it is left out.
with night as (
    select as_of, content
    from lake.ledger.findings
    where kind = 'segments' and as_of < $as_of
        and coalesce(json_array_length(content -> '$.arms'), 0) = 0
    qualify row_number() over (partition by as_of order by recorded_at desc) = 1
),
segment as (
    select as_of, unnest(from_json(content -> '$.segments', '["json"]')) as segment
    from night
)
select
    as_of,
    segment ->> '$.segment_id' as segment_id,
    (segment ->> '$.customers_share')::double as customers_share,
    segment ->> '$.name.en' as name
from segment
order by as_of, segment_id
