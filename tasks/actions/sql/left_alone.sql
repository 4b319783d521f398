-- Grain: one row a reason for which customers are not on the list; the first that holds counts.
select
    case
        when person.opted_out then 'opted_out'
        when person.contacted_lately then 'contacted_lately'
        when person.person_number not in (select person_number from fitting) then 'no_rule'
        when person.person_number in (select person_number from fitting where action = $leave_alone)
            then 'by_rule'
        when person.person_number not in (select person_number from candidate)
            then 'no_positive_return'
        when chosen.held_out then 'held_out'
        when person.person_number not in (select person_number from candidate_left)
            then 'action_full'
        else 'budget'
    end as reason,
    count(*) as customers
from person
left join chosen using (person_number)
where chosen.person_number is null or chosen.held_out
group by all
order by all
