-- Grain: one row a customer of a ranking that is kept to be compared, never published.
create or replace temporary table {kept} as
select
    customer_id,
    probability,
    expected_return_amount,
    money_at_risk_amount,
    rank <= $affordable_contacts::bigint and expected_return_amount > 0 as is_listed
from ranked_scores
