-- One row an eligible customer and cut-off: who ordered within the activity window.
create or replace temporary table pair as
select
    seen.customer_number,
    person.customer_id,
    cutoff.*
from order_seen seen
inner join person using (customer_number)
inner join cutoff using (cutoff_number)
where seen.last_order_day >= cutoff.as_of_day - $activity_window_days;
