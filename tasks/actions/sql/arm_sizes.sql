-- Grain: one row, how many customers of each arm may be contacted.
select
    (select count(*) from {champions} where not held_out) as champions,
    (select count(*) from {challengers} where not held_out) as challengers
