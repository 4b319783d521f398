-- Grain: one row a list and action, what all own uplifts of a night come to, whatever their order.
select
    listed_for,
    action,
    count(*) as customers,
    sum(('0x' || md5(concat_ws('/', customer_id, incremental_share, incremental_amount))[1:15])
        ::bigint) as digest
from lake.main.customer_uplifts
where run_id = $uplift_id and as_of = $as_of
group by listed_for, action
order by listed_for, action
