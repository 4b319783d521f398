-- Grain: one row a customer and an action still to be had: of a full action, only the best keep it.
create or replace temporary table candidate_left as
with placed as (
    select
        chosen.*,
        sum((not held_out)::integer) over (
            partition by action order by efficiency desc, tie, person_number
            rows between unbounded preceding and current row
        ) as place
    from chosen
    where list_contains($full_actions, action)
),
kept as (
    select placed.person_number, placed.action
    from placed
    inner join policy_offer as offer using (action)
    where placed.place <= offer.maximum_contacts
)
select candidate_left.*
from candidate_left
left join kept using (person_number, action)
where kept.action is not null or not list_contains($full_actions, candidate_left.action)
