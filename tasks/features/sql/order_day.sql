-- One row a customer (by number, in the order of the ids) and day, sorted.
create or replace temporary table order_day as
select person.customer_number, line_day.* exclude (customer_id){first_seen_columns}
from line_day
inner join person using (customer_id)
{join_first_seen}
order by person.customer_number, line_day.day, line_day.late;
