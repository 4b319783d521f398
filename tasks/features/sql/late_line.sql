-- One row a line of the customers that are taken cut-off by cut-off.
create or replace temporary table late_line as
select line.*
from {lines} line
inner join late_person using (customer_id)
where {wanted};
