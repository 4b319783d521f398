-- One row a customer (by number, in the order of the ids) and day, sorted.
create or replace temporary table order_day as
with joined as (
    select person.customer_number, line_day.* exclude (customer_id){first_seen_columns}
    from line_day
    inner join person using (customer_id)
    {join_first_seen}
)
select
    * exclude (category_bits, channel_bits),
    {new_categories}::double as new_categories,
    {new_channels}::double as new_channels
from joined
window earlier as (
    partition by customer_number order by day, late
    rows between unbounded preceding and 1 preceding
)
order by customer_number, day, late;
