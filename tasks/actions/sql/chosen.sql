-- Grain: one row a customer with the dearest action that they were taken to.
create or replace temporary table chosen as
select person_number, held_out, action, cost, gain, efficiency, tie
from taken
qualify row_number() over (partition by person_number order by cost desc) = 1
