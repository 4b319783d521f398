-- One row an eligible customer and cut-off: who ordered within the activity window.
create or replace temporary table pair as
select seen.customer_number, person.customer_id, cutoff.*
from order_window seen
inner join person on person.customer_number = seen.customer_number
inner join cutoff using (cutoff_number);
