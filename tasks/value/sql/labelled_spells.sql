-- Grain: one row a (entry, exit, ended, part): customers of a labelled set, seen for one churn
-- horizon, and how many share it. `part` divides the customers for judging.
select
    greatest({tenure} * $unit_days::double - $churn_days::double, 0)::double as entry_days,
    ({tenure} * $unit_days::double)::double as exit_days,
    churned as ended,
    (hash(customer_id) % $folds::ubigint)::double as part,
    count(*)::double as customers
from {features}
where as_of = $as_of and {tenure} is not null and churned is not null
group by all
order by all
