-- One row a rule and column that a batch of an item breaks: over how many, and as the newest says.
with member as (
    select distinct batch_number
    from lake.ledger.incident_batches
    where incident_number = $incident_number
),

-- A batch that was judged again has results of each judgement; the last one counts.
result as (
    select rule_results.*
    from lake.ledger.rule_results
    join member using (batch_number)
    qualify row_number() over (
        partition by batch_number, rule, column_name order by recorded_at desc
    ) = 1
)

select
    rule,
    column_name,
    count(*) as batches,
    sum(failed_rows)::bigint as all_failed_rows,
    max_by(batch_number, batch_number) as batch_number,
    max_by(severity, batch_number) as severity,
    max_by(checked_rows, batch_number) as checked_rows,
    max_by(failed_rows, batch_number) as failed_rows,
    max_by(limit_text, batch_number) as limit_text,
    max_by(observed_text, batch_number) as observed_text,
    max_by(reason, batch_number) as reason
from result
where not passed and ($only_rule is null or rule = $only_rule)
group by rule, column_name
order by
    case max_by(severity, batch_number) when 'stop' then 0 when 'quarantine' then 1 else 2 end,
    sum(failed_rows) desc,
    rule,
    column_name
