-- Grain: one row a product. `pick_share` is how often a line of its category is of this product.
create or replace table products as
with numbered as (
    select
        category.range::integer as category,
        rank.range::integer as rank,
        (category.range * 10000 + rank.range)::integer as product,
        customer_key($seed, 4000000000 + category.range) as category_key,
        customer_key($seed, 5000000000 + category.range * 10000 + rank.range) as product_key
    from range($categories::bigint) as category, range($products::bigint) as rank
)

select
    product,
    category,
    -- Medians of categories between 3 and 40, spread log-normally within.
    greatest(
        25, round(100.0 * 3.0 * pow(40.0 / 3.0, uniform(category_key, 1))
            * exp(0.45 * normal(product_key, 2)))
    )::bigint as price_cents,
    sqrt((rank + 1) / $products::double) - sqrt(rank / $products::double) as pick_share
from numbered
order by product;

-- Grain: one row a category: the mean price of its lines.
create or replace table category_prices as
select
    category,
    sum((pick_share * price_cents)::decimal(18, 9))::double as mean_price_cents
from products
group by category
order by category;
