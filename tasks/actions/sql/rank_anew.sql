-- Grain: one row a customer of a list, contacted or held out; ranked over both arms.
create or replace temporary table action_row as
select * replace (
    row_number() over (
        partition by listed_for, held_out
        order by expected_return_amount desc, sha256(customer_id), customer_id
    ) as rank
)
from action_row
