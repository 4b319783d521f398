-- One row: how many lines repeat an earlier one in every column, by a plain grouping.
select sum(members) - count(*) as repeated
from (
    select count(*) as members
    from read_parquet('{file}')
    group by {columns}
)
