-- Grain: one row a customer of a night's groups, as `lake.main.scores` has it of scores: by whom they
-- were served. Rows of groups name a segmentation by the start of its hash.
select
    customer_id,
    as_of,
    run_id as scoring_id,
    case
        when starts_with($challenger_hash::varchar, segmentation_id) then $challenger_hash::varchar
        else segmentation_id
    end as model_hash
from {groups}
