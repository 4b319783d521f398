-- Grain: one row a customer of a rollout that has entered the analysis, as the ledger keeps it.
-- The relation drawn is what befalls the customers: whose customer is in which bucket, since when seen.
create type arm as enum ('champion', 'challenger');

create or replace table enrolments as
select
    drawn.rollout_id,
    drawn.customer_id,
    case when drawn.is_challenger then 'challenger' else 'champion' end::arm as arm,
    drawn.bucket,
    drawn.stage,
    date '2026-01-05' + greatest(drawn.seen_on, stage.starts_on)::integer as entered_on,
    greatest(drawn.seen_on, stage.starts_on) as entry_day,
    drawn.is_exposed as exposed,
    drawn.draw,
    drawn.amount,
    drawn.covariate
from {drawn} as drawn
inner join stage using (stage)
