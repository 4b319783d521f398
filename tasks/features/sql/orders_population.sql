-- One row an eligible customer and cut-off: who ordered within the activity window.
create or replace temporary table pair as
select last.customer_number, person.customer_id, cutoff.*
from order_window last
inner join order_state state using (place)
inner join person on person.customer_number = last.customer_number
inner join cutoff using (cutoff_number)
where state.last_order_day >= cutoff.as_of_day - $activity_window_days;
