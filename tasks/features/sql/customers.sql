-- One row a customer and cut-off: since when they have been registered.
create or replace temporary table customers_features as
with version as (
    select
        pair.customer_number,
        pair.cutoff_number,
        pair.as_of_day,
        case when entry.registered_at < pair.as_of then entry.registered_at end as registered_at
    from pair
    inner join {customers} entry
        on entry.customer_id = pair.customer_id
        and entry.recorded_at < pair.as_of
        and {seen_customers}
    qualify row_number() over (
        partition by pair.customer_number, pair.cutoff_number
        order by entry.recorded_at desc, entry.received_at desc, entry.batch_number desc,
            entry.row_number desc
    ) = 1
)
select
    customer_number,
    cutoff_number,
    as_of_day - epoch_us(registered_at) // 86400000000 as registered_days
from version;
