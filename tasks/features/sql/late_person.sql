-- One row a customer whose lines did not become known in the order of their days, or went again:
-- what one cut-off sees of them is not the beginning of what the next one sees.
create or replace temporary table late_person as
with neighbours as (
    select
        customer_id,
        doubtful
        or day = lag(day) over in_order
        or late < lag(late) over in_order as is_late
    from line_day
    window in_order as (partition by customer_id order by day, late)
)
select customer_id, any_value(person.customer_number) as customer_number
from neighbours
inner join person using (customer_id)
where is_late
group by customer_id;
