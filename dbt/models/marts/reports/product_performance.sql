-- Grain: one row per product and currency it was sold in (null when it never was).
with seen as (

    select
        product_sk,
        sum(views)::bigint as views,
        sum(cart_adds)::bigint as cart_adds
    from {{ ref('fct_product_day') }}
    group by product_sk

),

sold as (

    select
        product_sk,
        currency,
        count(distinct order_id) as orders,
        sum(quantity)::bigint as units,
        sum(amount)::numeric(14, 2) as revenue
    from {{ ref('fact_order') }}
    where status = 'completed'
    group by product_sk, currency

)

select
    products.product_sk,
    products.product_id,
    products.product_name,
    products.category,
    sold.currency,
    coalesce(seen.views, 0) as views,
    coalesce(seen.cart_adds, 0) as cart_adds,
    coalesce(sold.orders, 0) as orders,
    coalesce(sold.units, 0) as units,
    coalesce(sold.revenue, 0)::numeric(14, 2) as revenue,
    (seen.cart_adds::numeric / nullif(seen.views, 0))::numeric(12, 4) as add_to_cart_rate,
    (sold.orders::numeric / nullif(seen.views, 0))::numeric(12, 4) as conversion_rate,
    products.stock,
    coalesce(products.stock = 0, false) as is_out_of_stock
from {{ ref('dim_product') }} as products
left join seen on products.product_sk = seen.product_sk
left join sold on products.product_sk = sold.product_sk
where products.product_id is not null
