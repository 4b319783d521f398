-- Grain: one row a customer of the night with a contract: age, what a period costs, and churn.
select
    customer_id,
    coalesce({age}, 0)::double as age_days,
    greatest(coalesce(value_amount, 0), 0)::double as period_amount,
    churn.probability as churn
from (select * from {features} where as_of = $as_of)
left join ({scores}) as churn using (customer_id)
order by hash(customer_id), customer_id
