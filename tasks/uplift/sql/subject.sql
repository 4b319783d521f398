-- Grain: one row a customer and lot; filled source by source.
create or replace temporary table subject (
    listed_for varchar,
    action varchar,
    source varchar,
    lot varchar,
    lot_share double,
    customer_id varchar,
    treated boolean,
    decided_at timestamptz,
    segment_id varchar,
    driver varchar
)
