-- One row a rule of an accepted batch that counts rows: how many broke it when last judged.
with latest as (
    select batch_number, source, state
    from lake.ledger.batches
    qualify row_number() over (partition by batch_number order by recorded_at desc) = 1
)

select
    results.batch_number,
    results.rule,
    results.checked_rows,
    results.failed_rows
from lake.ledger.rule_results as results
join latest on latest.batch_number = results.batch_number
where latest.state = 'accepted'
    and results.checked_rows > 0
    and ($source::varchar is null or latest.source = $source)
qualify row_number() over (
    partition by results.batch_number, results.rule, results.column_name
    order by results.recorded_at desc
) = 1
order by results.batch_number, results.rule
