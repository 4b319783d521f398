-- Grain: one row a customer and action of a list whose own uplift was told for this night.
-- What is no number, or promises more than a whole customer or any money, is not taken.
create or replace temporary table own_uplift as
select
    customer_id,
    action,
    incremental_share as gain_share,
    incremental_amount as gain_amount
from lake.main.customer_uplifts
where run_id = $uplift_id and as_of = $as_of and listed_for = $listed_for
    and isfinite(coalesce(incremental_share, incremental_amount))
    and coalesce(abs(incremental_share) <= 1, true)
    and coalesce(abs(incremental_amount) <= 1e9, true)
