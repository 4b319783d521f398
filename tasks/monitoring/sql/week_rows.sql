-- Grain: one row a customer of a matured scoring whose outcome is known.
select
    epoch_us(scored_week.as_of) as moment,
    epoch_us(scored_week.week) as week,
    model_version,
    model_hash,
    probability,
    value_amount,
    expected_return_amount,
    held_out,
    contacted,
    churned
from scored_week
inner join scored_outcome using (customer_id, as_of)
where churned is not null
order by as_of, model_hash, customer_id
