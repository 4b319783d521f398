-- One row: how many lines repeat an earlier one in every column. Equal lines have equal hashes, so
-- only lines whose hash occurs twice are compared.
select coalesce(sum(members) - count(*), 0) as repeated
from (
    select count(*) as members
    from read_parquet('{file}')
    where hash({columns}) in (
        select hash({columns})
        from read_parquet('{file}')
        group by all
        having count(*) > 1
    )
    group by {columns}
)
