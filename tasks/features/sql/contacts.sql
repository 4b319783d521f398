-- One row a customer and cut-off: messages sent to them, and how they answered.
create or replace temporary table contacts_features as
with version as (
    select
        pair.customer_number,
        pair.cutoff_number,
        (pair.as_of_day - epoch_us(contact.contacted_at) // 86400000000)::double as age,
        -- An answer that came after the cut-off had not been given yet.
        coalesce(contact.opened_at < pair.as_of, false) as was_opened,
        coalesce(contact.clicked_at < pair.as_of, false) as was_clicked,
        coalesce(contact.responded_at < pair.as_of, false) as was_answered,
        coalesce(contact.opted_out_at < pair.as_of, false) as opted_out
    from pair
    inner join {contacts} contact
        on contact.customer_id = pair.customer_id
        and contact.contacted_at < pair.as_of
        and {seen_contacts}
    qualify row_number() over (
        partition by pair.customer_number, pair.cutoff_number, contact.contact_id
        order by contact.received_at desc, contact.batch_number desc, contact.row_number desc
    ) = 1
),
counted as (
    select
        customer_number,
        cutoff_number,
        min(age) as latest,
        count(*) filter (age <= 30) as contacts_30,
        count(*) filter (age <= 90) as contacts_90,
        count(*) filter (age <= 365) as contacts_365,
        count(*) filter (age <= 365 and was_opened) as opened_365,
        count(*) filter (age <= 365 and was_clicked) as clicked_365,
        count(*) filter (age <= 365 and was_answered) as answered_365,
        min(age) filter (was_answered) as latest_answered,
        max(opted_out::integer) as opted_out
    from version
    group by customer_number, cutoff_number
)
select
    pair.customer_number,
    pair.cutoff_number,
    counted.latest as contact_recency_days,
    coalesce(counted.contacts_30, 0) as contacts_30,
    coalesce(counted.contacts_90, 0) as contacts_90,
    coalesce(counted.contacts_365, 0) as contacts_365,
    counted.opened_365 / nullif(counted.contacts_365, 0)::double as contact_opened_share_365,
    counted.clicked_365 / nullif(counted.contacts_365, 0)::double as contact_clicked_share_365,
    counted.answered_365 / nullif(counted.contacts_365, 0)::double as contact_answered_share_365,
    coalesce(counted.answered_365, 0) as contacts_answered_365,
    counted.latest_answered as contact_answered_recency_days,
    coalesce(counted.opted_out, 0) as opted_out
from pair
inner join cutoff using (cutoff_number)
left join counted using (customer_number, cutoff_number)
where cutoff.sees_contacts;
