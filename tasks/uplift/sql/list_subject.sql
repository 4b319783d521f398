-- Grain: one row a customer and list, on the night on which they were first listed: drawn or held out.
-- Later listings do not count: who was contacted is not listed again for a while, who is held out
-- is, so they are no longer alike.
insert into subject by name
with night as (
    select arg_max(finding_id, recorded_at) as run_id
    from lake.ledger.findings
    where kind = 'actions' and as_of < $as_of
    group by as_of
),
listed as (
    select
        action.*,
        {is_held_out} as is_drawn_out
    from lake.main.customer_actions action
    semi join night using (run_id)
),
-- A night that another salt or share drew is not what the settings declare.
kept as (
    select run_id
    from listed
    group by run_id
    having bool_and(held_out = is_drawn_out)
),
first_listed as (
    select listed.*
    from listed
    semi join kept using (run_id)
    qualify row_number() over (
        partition by listed_for, customer_id order by as_of, run_id
    ) = 1
)
select
    listed_for,
    action,
    'action list' as source,
    strftime(as_of, '%Y-%m-%d') as lot,
    1 - $hold_out_share::double as lot_share,
    customer_id,
    not held_out as treated,
    as_of as decided_at,
    segment_id,
    driver
from first_listed
where as_of + to_days($horizon_days::integer) <= $as_of::timestamptz
