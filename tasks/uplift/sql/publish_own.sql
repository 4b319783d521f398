-- Grain: one row a customer of an unlocked action in a run: what a contact is expected to add.
insert into lake.main.customer_uplifts by name
select
    customer_id,
    $as_of::timestamptz as as_of,
    $known_by::timestamptz as known_by,
    $run_id as run_id,
    $listed_for as listed_for,
    $action as action,
    $learner_hash as learner_hash,
    case when $measure = 'lapse_share' then uplift end as incremental_share,
    case when $measure = 'margin_amount' then uplift end as incremental_amount
from own_row
order by customer_id
