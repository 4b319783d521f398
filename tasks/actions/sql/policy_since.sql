-- Grain: one row, the first night of all lists in a row that one policy has made; NULL before its first.
with list as (
    select as_of, recorded_at, content::json ->> '$.policy.version' as version
    from lake.ledger.findings
    where kind = 'actions' and as_of <= $as_of
)
select min(as_of) as since
from list
where version = $version
    and recorded_at > coalesce(
        (select max(recorded_at) from list where version is distinct from $version), '-infinity'
    )
