-- Grain: one row a customer, held out or not: whose policy lists them at this stage.
create or replace temporary table policy_turn as
select customer_id, {bucket} < $served_below::integer as is_challenger
from {customers}
