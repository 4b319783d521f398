-- Grain: one row: the last cut-off that has outcomes, its customers, and those with an outcome.
select
    as_of,
    count(*) as customers,
    count(churned) as labelled
from lake.main.{table}
group by as_of
having count(churned) > 0
order by as_of desc
limit 1
