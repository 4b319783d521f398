-- Grain: one row a customer in the table of their arm, and none in the other's.
delete from {champions}
where customer_id in (select customer_id from policy_turn where is_challenger);
delete from {challengers}
where customer_id not in (select customer_id from policy_turn where is_challenger)
