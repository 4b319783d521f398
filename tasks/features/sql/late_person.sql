-- One row a customer whose lines did not become known in the order of their days, or went again:
-- what one cut-off sees of them is not the beginning of what the next one sees.
create or replace temporary table late_person as
with neighbours as (
    select
        customer_number,
        doubtful
        or day = lag(day) over in_order
        or late < lag(late) over in_order as is_late
    from order_day
    window in_order as (partition by customer_number order by day, late)
)
select distinct person.*
from neighbours
inner join person using (customer_number)
where is_late;
