select distinct enrolled.customer_id
from enrolled
inner join {contacts} as contact
    on contact.customer_id = enrolled.customer_id
    and date_trunc('day', contact.contacted_at) = enrolled.entered_at
