-- Grain: one row a customer of a labelled set: age at the start of the churn horizon, the days of
-- it that they were a customer, what a period costs, whether they were there at its end, their part.
select
    greatest({tenure} * $unit_days::double - $churn_days::double, 0)::double as age_days,
    least({tenure} * $unit_days::double, $churn_days::double)::double as seen_days,
    greatest(coalesce(value_amount, 0), 0)::double as period_amount,
    case when churned then 0.0 else 1.0 end as stayed,
    (hash(customer_id) % $folds::ubigint)::double as part
from {features}
where as_of = $as_of and {tenure} is not null and churned is not null
order by hash(customer_id), customer_id
limit $maximum_rows::bigint
