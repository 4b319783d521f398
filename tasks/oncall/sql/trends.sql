-- One row a rule, column and batch of a source: the figure and its limits, oldest batch first.
-- The newest $batches of it, of which refused ones take at most a third while others are there, so
-- that a storm of refused files does not drive what they are compared with from the plot.
with state as (
    select batch_number, batch_name, state, recorded_at
    from lake.ledger.batches
    where source = $source
    qualify row_number() over (partition by batch_number order by recorded_at desc) = 1
),

-- A batch that was replaced or taken back later was good when it was judged.
judged as (
    select
        *,
        state in ('accepted', 'superseded') as is_accepted
    from state
    where state not in ('received', 'staged')
),

ranked as (
    select
        *,
        row_number() over (partition by is_accepted order by batch_number desc) as place
    from judged
),

chosen as (
    select *
    from ranked
    order by
        case
            when list_contains($always::integer[], batch_number) then 0
            when not is_accepted and place <= $batches // 3 then 1
            when is_accepted then 2
            else 3
        end,
        batch_number desc
    limit $batches
),

result as (
    select rule_results.*
    from lake.ledger.rule_results
    join chosen using (batch_number)
    where list_contains($keys::varchar[], rule || ':' || column_name)
    qualify row_number() over (
        partition by batch_number, rule, column_name order by rule_results.recorded_at desc
    ) = 1
)

select
    result.rule,
    result.column_name,
    chosen.batch_number,
    chosen.batch_name,
    chosen.state,
    chosen.is_accepted,
    result.recorded_at,
    result.passed,
    result.figure,
    result.lower_limit,
    result.upper_limit
from result
join chosen using (batch_number)
order by result.rule, result.column_name, chosen.batch_number
