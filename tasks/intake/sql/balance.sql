-- One row: what this transaction has really put where, counted in the tables themselves.
select
    (select count(*) from read_parquet($staged)) as received_rows,
    (select count(*) from {target} where batch_number = $batch_number) as accepted_rows,
    (
        select count(distinct row_number)
        from lake.ledger.quarantine
        where batch_number = $batch_number
    ) as quarantined_rows,
    (
        select count(*)
        from {target} as fact
        where fact.batch_number = $batch_number
            and (fact.received_at is null or fact.received_at > $published_at)
    ) as known_too_late_rows,
    (
        select count(*)
        from {target}
        where batch_number = $batch_number and ({incomplete})
    ) as incomplete_rows
