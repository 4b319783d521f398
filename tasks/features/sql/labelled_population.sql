-- One row a customer of a static set and cut-off, as last recorded before it, with the outcome.
create or replace temporary table pair as
select
    person.customer_number,
    person.customer_id,
    cutoff.*,
    entry.churned,
    entry.period_amount,
    entry.numbers,
    entry.categories
from {labelled} entry
inner join person using (customer_id)
inner join cutoff on entry.observed_at < cutoff.as_of and {seen_labelled_cutoff}
qualify row_number() over (
    partition by entry.customer_id, cutoff.cutoff_number
    order by entry.observed_at desc, entry.received_at desc, entry.batch_number desc,
        entry.row_number desc
) = 1
    -- Who has left already is learnt from, and not scored.
    and not ($only_staying and entry.churned);
