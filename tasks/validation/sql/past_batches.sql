-- One row an accepted batch, oldest first; all sources, or one.
select
    batch_number,
    batch_name,
    source,
    table_name,
    received_rows,
    quarantined_rows,
    known_basis,
    recorded_at
from lake.ledger.batches
qualify row_number() over (partition by batch_number order by recorded_at desc) = 1
    and state = 'accepted'
    and ($source::varchar is null or source = $source)
order by batch_number
