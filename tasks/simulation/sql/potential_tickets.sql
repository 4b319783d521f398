-- Grain: one row a ticket that a customer opens if he is still there.
create or replace temp table potential_tickets as
with rates as (
    select
        number,
        key,
        joined_day,
        $tickets_a_year / 365.25 as ticket_rate,
        ($horizon_day - joined_day) * $tickets_a_year / 365.25 as expected
    from population
),

blocks as (
    select
        number, joined_day, ticket_rate, expected,
        part_key(key, 2000000 + unnest(range(ceil(expected / 4.0)::bigint))) as block_key,
        unnest(range(ceil(expected / 4.0)::bigint)) as block
    from rates
),

counted as (
    select
        number, joined_day, ticket_rate, expected, block,
        part_key(block_key, unnest(range(poisson_four(uniform(block_key, 0)))) + 1) as ticket_key,
        block * 32 + unnest(range(poisson_four(uniform(block_key, 0)))) as ticket_number
    from blocks
),

timed as (
    select
        number, joined_day, ticket_rate, expected, ticket_key, ticket_number,
        4.0 * (block + uniform(ticket_key, 1)) as elapsed
    from counted
)

select
    number,
    ticket_number,
    ticket_key,
    joined_day + elapsed / ticket_rate as opened_day,
    uniform(ticket_key, 2) < $complaint_share as is_complaint
from timed
where elapsed < expected;
