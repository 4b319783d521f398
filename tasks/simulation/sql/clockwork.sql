-- Grain: one row a cell of operational time (purchase rates' own clock); says which day a moment of it is.
-- A cell is no wider than the lightest day, so that it holds at most one midnight.
create or replace table clockwork as
with width as (
    select 0.9 * min(mass) as cell_width, max(passed) as last_passed from calendar
),

cells as (
    select
        range::integer as cell,
        range * cell_width as cell_from,
        cell_width
    from width, range(floor(last_passed / cell_width)::bigint)
),

following as (
    select
        day,
        passed,
        mass,
        lead(passed) over (order by day) as next_passed,
        lead(mass) over (order by day) as next_mass
    from calendar
)

select
    cells.cell,
    following.day::double as day,
    following.passed,
    following.mass,
    following.next_passed,
    following.next_mass
from cells asof join following on cells.cell_from >= following.passed
where following.next_mass is not null
order by cells.cell;
