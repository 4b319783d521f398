-- One row a customer of the chunk, numbered in the order of the ids.
create or replace temporary table person as
select customer_id, (row_number() over (order by customer_id) - 1)::integer as customer_number
from (select distinct customer_id from {ids});
