-- Grain: one row, the customers of both arms and those of the challenger's who keep their old group.
select
    count(*) filter (not turn.is_served) as champions,
    count(*) filter (turn.is_served) as challengers,
    count(*) filter (turn.is_served and arm_segments.customer_id is null) as fell_back
from turn
left join arm_segments using (customer_id)
