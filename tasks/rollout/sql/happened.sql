-- Grain: one row an event that a guardrail counts, ready for `guardrail_counts.sql`.
create or replace temporary table happened as
with present as (
    select customer_id, arm, entered_at
    from enrolled
    where not is_crossed and exposed
),
returned as (
    select distinct present.customer_id
    from present
    inner join {orders} as line on line.customer_id = present.customer_id
    where not line.is_return and line.ordered_at >= present.entered_at
        and line.ordered_at < present.entered_at + to_days($early_days::integer)
),
event as (
    select 'complaints' as guardrail, ticket.customer_id, ticket.opened_at as happened_at
    from {tickets} as ticket
    where ticket.is_complaint and ticket.opened_at < $as_of
    union all
    select 'opt_outs', contact.customer_id, contact.opted_out_at
    from {contacts} as contact
    where contact.opted_out_at < $as_of
    union all
    -- Who was to be served by the challenger, and was not.
    select 'errors', score.customer_id, score.as_of
    from {scores} as score
    inner join present on present.customer_id = score.customer_id
    where present.arm = 'challenger' and score.model_hash <> $challenger_hash
        and score.as_of < $as_of
        and score.scoring_id in (
            select scoring_id from {servings} where rollout_id = $rollout_id
        )
    union all
    -- No order for so long after coming in.
    select
        'early_signs',
        present.customer_id,
        present.entered_at + to_days($early_days::integer)
    from present
    left join returned using (customer_id)
    where returned.customer_id is null
        and present.entered_at + to_days($early_days::integer) <= $as_of
)
select
    $rollout_id::varchar as rollout_id,
    customer_id,
    guardrail,
    happened_at::date as day
from event
