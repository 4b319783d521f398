-- Grain: one row a contact, its newest version, as known now.
create or replace temporary table contact as
select customer_id, contact_id, campaign_id, contacted_at, opted_out_at
from {contacts}
where contacted_at < $as_of::timestamptz
qualify row_number() over (
    partition by contact_id order by received_at desc, batch_number desc, row_number desc
) = 1
