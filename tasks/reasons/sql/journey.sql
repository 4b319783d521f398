-- Grain: one row a cut-off: of the customers who were still there, leavers and stayers for whom a
-- step can be told, and how many of them took it.
select
    as_of,
    {counted}
from {table}
where churned is not null and {present}
group by as_of
order by as_of
