-- One row a customer and cut-off: their tickets, how old, how they ended.
create or replace temporary table tickets_features as
with version as (
    select
        pair.customer_number,
        pair.cutoff_number,
        pair.as_of_day,
        ticket.ticket_id,
        epoch_us(ticket.opened_at) // 86400000000 as opened_day,
        -- What was not yet closed at the cut-off counts as open, and its score as not given.
        case when ticket.closed_at < pair.as_of then ticket.closed_at end as closed_at,
        case when ticket.closed_at < pair.as_of then ticket.satisfaction_score end
            as satisfaction_score,
        ticket.opened_at,
        ticket.is_complaint
    from pair
    inner join {tickets} ticket
        on ticket.customer_id = pair.customer_id
        and ticket.opened_at < pair.as_of
        and {seen_tickets}
    -- A ticket delivered again, say with its end, replaces what was known of it.
    qualify row_number() over (
        partition by pair.customer_number, pair.cutoff_number, ticket.ticket_id
        order by ticket.received_at desc, ticket.batch_number desc, ticket.row_number desc
    ) = 1
),
aged as (
    select *, (as_of_day - opened_day)::double as age from version
),
counted as (
    select
        customer_number,
        cutoff_number,
        min(age) as latest,
        count(*) filter (age <= 30) as tickets_30,
        count(*) filter (age <= 90) as tickets_90,
        count(*) filter (age <= 365) as tickets_365,
        count(*) filter (closed_at is null) as open_tickets,
        max(age) filter (closed_at is null) as open_ticket_age_days,
        count(is_complaint) filter (age <= 365) as judged_365,
        count(*) filter (is_complaint and age <= 365) as complaints_365,
        median(round((epoch_us(closed_at) - epoch_us(opened_at)) / 86400000000, 4))
            filter (closed_at is not null) as ticket_closing_days,
        median(satisfaction_score) filter (age <= 365) as satisfaction_median_365
    from aged
    group by customer_number, cutoff_number
)
select
    pair.customer_number,
    pair.cutoff_number,
    counted.latest as ticket_recency_days,
    coalesce(counted.tickets_30, 0) as tickets_30,
    coalesce(counted.tickets_90, 0) as tickets_90,
    coalesce(counted.tickets_365, 0) as tickets_365,
    coalesce(counted.open_tickets, 0) as open_tickets,
    counted.open_ticket_age_days,
    counted.complaints_365 / nullif(counted.judged_365, 0)::double as complaint_share_365,
    counted.ticket_closing_days,
    counted.satisfaction_median_365
from pair
inner join cutoff using (cutoff_number)
left join counted using (customer_number, cutoff_number)
where cutoff.sees_tickets;
