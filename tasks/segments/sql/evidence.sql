-- Grain: one customer of the taught cut-off, a sample in the order of a hash of the customer.
with chosen as (
    select *
    from {features}
    where as_of = $taught
    order by md5(customer_id), customer_id
    limit $rows
),
earlier as (
    select * from {features} where as_of = $before
),
later as (
    select * from {features} where as_of = $as_of
)
select
    chosen.customer_id,
    earlier.customer_id is not null as was_there,
    {churned} as churned,
    ({spent})::double as spent,
    {selected}
from chosen
left join earlier using (customer_id)
left join later using (customer_id)
order by md5(chosen.customer_id), chosen.customer_id
