-- One row: whether the staged rows that no rule refuses are those that the batch has published.
with rejected as (
    select distinct row_number
    from {rejects}
),

staged as (
    select hash({hashed}) as content
    from read_parquet($staged) as staged
    anti join rejected on staged.row_number = rejected.row_number
),

published as (
    select hash({hashed}) as content
    from {target}
    where batch_number = $batch_number
)

select
    (select count(*) from staged) = (select count(*) from published)
    and (select coalesce(sum(content::hugeint), 0) from staged)
    = (select coalesce(sum(content::hugeint), 0) from published) as same
