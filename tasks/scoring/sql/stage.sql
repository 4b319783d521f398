-- Grain: one row a customer that has been scored in this run, unranked; filled batch by batch.
create or replace temporary table scored_customers (
    customer_id varchar,
    value_amount decimal(18, 4),
    probability double,
    reason_1 varchar,
    reason_2 varchar,
    reason_3 varchar
);
-- One row a customer whom a rollout's challenger has scored instead; mostly none.
create or replace temporary table arm_scores (
    customer_id varchar,
    probability double,
    reason_1 varchar,
    reason_2 varchar,
    reason_3 varchar,
    model_name varchar,
    model_version integer,
    model_hash varchar
)
