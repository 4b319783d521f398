-- Grain: one row a customer of a rollout who has entered by `$as_of`: what is known of them then.
-- The relation rate has the probability to lapse of a customer who enters with the champion.
select
    enrolments.rollout_id,
    enrolments.arm,
    enrolments.entered_on as day,
    enrolments.exposed,
    enrolments.exposed as logged,
    enrolments.entered_on + $horizon_days::integer <= $as_of::date as due,
    enrolments.entered_on + $horizon_days::integer <= $as_of::date as matured,
    enrolments.draw
        < rate.share - case when enrolments.arm = 'challenger' then $effect::double else 0 end
        as lapsed,
    enrolments.amount
        + case when enrolments.arm = 'challenger' then $amount_effect::double else 0 end
        as amount,
    enrolments.covariate
from enrolments
inner join rate on rate.day = enrolments.entry_day
where enrolments.entered_on <= $as_of::date
