-- Grain: one state of a run, appended and never changed.
insert into lake.ledger.runs (run_id, command, state, process, memory_kills, recorded_at)
values ($run_id, $command, $state, $process, $memory_kills, $recorded_at)
