-- Grain: one row a step that has been taken; filled pass by pass.
create or replace temporary table taken (
    person_number bigint,
    held_out boolean,
    action varchar,
    cost decimal(18, 4),
    gain decimal(18, 4),
    step_cost decimal(18, 4),
    step_gain decimal(18, 4),
    efficiency double,
    tie varchar
)
