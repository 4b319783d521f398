-- Grain: one row a customer of a rollout, on the first night on which they count.
insert into lake.ledger.enrolments
    (customer_id, rollout_id, arm, stage, bucket, entered_at, exposed, fell_back, scoring_id)
select
    turn.customer_id,
    $rollout_id,
    turn.arm,
    turn.stage,
    turn.bucket,
    $as_of::timestamptz,
    true,
    turn.is_served and answered.customer_id is null,
    $scoring_id
from turn
left join {answered} as answered using (customer_id)
where turn.is_counted
    and turn.customer_id not in (
        select customer_id from lake.ledger.enrolments where rollout_id = $rollout_id
    )
order by turn.customer_id
