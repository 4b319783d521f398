-- Grain: one row an action that more customers were given than it can take.
select chosen.action
from chosen
inner join policy_offer as offer using (action)
where not chosen.held_out
group by chosen.action, offer.maximum_contacts
having count(*) > offer.maximum_contacts
order by chosen.action
