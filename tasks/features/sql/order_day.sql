-- One row a customer (by number, in the order of the ids) and day; customers seen late are apart.
create or replace temporary table order_day as
select
    person.customer_number,
    line_day.* exclude (customer_id, doubtful),
    coalesce(first_seen.new_categories, 0) as new_categories,
    coalesce(first_seen.new_channels, 0) as new_channels
from line_day
inner join person using (customer_id)
left join first_seen using (customer_id, day)
order by person.customer_number, line_day.day;
