-- One row: how many different customers the staged batch has, and how many are known elsewhere.
with customers as (
    select distinct customer_id
    from read_parquet($staged)
    where customer_id is not null
),

known as (
    select customer_id
    from customers
    where customer_id in (select customer_id from ({published}))
)

select
    (select count(*) from customers) as customers,
    (select count(*) from known) as known
