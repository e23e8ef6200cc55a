-- Grain: one row per product, at most ten: those most looked at today (UTC) until now.
select
    products.product_sk,
    products.product_id,
    products.product_name,
    products.category,
    days.views
from {{ ref('fct_product_day') }} as days
inner join {{ ref('dim_product') }} as products on days.product_sk = products.product_sk
where days.activity_date = (now() at time zone 'UTC')::date and days.views > 0
order by days.views desc, products.product_id asc
limit 10
