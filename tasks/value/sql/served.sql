-- Grain: one row an eligible customer of the night, with their churn probability (NULL: none).
select
    customer_id,
    {columns},
    churn.probability as holdfast_churn
from (select * from {features} where as_of = $as_of)
left join ({scores}) as churn using (customer_id)
order by hash(customer_id), customer_id
