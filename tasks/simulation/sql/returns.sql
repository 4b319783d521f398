-- Grain: one line that comes back, one to some weeks after it was bought, if before the end.
insert into order_lines
with returned as (
    select *, at_day + 1.0 - 9.0 * ln(uniform(line_key, 1)) as back_day
    from order_lines
    where comes_back
)

select
    number, arrival, line, back_day, hash(line_key), channel, product, -quantity, false,
    -net_cents, 0
from returned
where back_day < $window_days;
