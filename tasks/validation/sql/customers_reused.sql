-- One row a staged record of a customer whose id seems to have been given to somebody new: they
-- registered, or all that is recorded of them changed, long after the id was last heard of.
with latest as (
    select batch_number, batch_name, state
    from lake.ledger.batches
    qualify row_number() over (partition by batch_number order by recorded_at desc) = 1
),

-- A batch that is delivered anew is not compared with what it replaces.
earlier as (
    select customer_id, registered_at, recorded_at, attributes
    from lake.main.customers
    where batch_number in (
            select batch_number from latest
            where state = 'accepted' and batch_name <> $batch_name
        )
        and customer_id in (select customer_id from read_parquet($staged))
    qualify row_number() over (partition by customer_id order by recorded_at desc) = 1
),

compared as (
    select
        staged.row_number,
        staged.customer_id,
        coalesce(staged.registered_at, staged.recorded_at) as begun_at,
        earlier.registered_at as registered_before_at,
        coalesce(
            staged.registered_at > coalesce(earlier.registered_at, '-infinity'::timestamptz), false
        ) as registered_anew,
        list_filter(
            map_keys(staged.attributes),
            name -> staged.attributes[name] is not null and earlier.attributes[name] is not null
        ) as shared,
        list_filter(
            map_keys(staged.attributes),
            name -> staged.attributes[name] = earlier.attributes[name]
        ) as unchanged
    from read_parquet($staged) as staged
    inner join earlier on earlier.customer_id = staged.customer_id
),

-- Few are: a list that is delivered every month repeats most of its records.
changed as (
    select row_number, customer_id, begun_at, registered_before_at
    from compared
    where begun_at is not null
        and (registered_anew or (len(shared) >= 3 and len(unchanged) = 0))
),

heard as (
    {activity}
    union all
    select customer_id, registered_before_at as heard_at from changed
)

select changed.row_number::bigint as row_number
from changed
inner join heard
    on heard.customer_id = changed.customer_id and heard.heard_at < changed.begun_at
group by changed.row_number, changed.begun_at
having max(heard.heard_at) <= changed.begun_at - to_days($minimum_days::integer)
order by 1
