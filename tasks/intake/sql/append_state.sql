-- One row a batch: its latest row once more, in its new state.
insert into lake.ledger.batches by name
with latest as (
    select *
    from lake.ledger.batches
    where list_contains($batch_numbers::integer[], batch_number)
    qualify row_number() over (partition by batch_number order by recorded_at desc) = 1
)
select
    * replace (
        $state::varchar as state,
        $recorded_at::timestamptz as recorded_at,
        $actor::varchar as actor,
        json_merge_patch(report, $report::json) as report
    )
from latest
