-- One row a batch: the row of its latest state.
select *
from lake.ledger.batches
qualify row_number() over (partition by batch_number order by recorded_at desc) = 1
