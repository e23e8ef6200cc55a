-- Grain: one row per UTC hour and product that was looked at in it.
select
    dim_date.timestamp as hour,
    products.product_sk,
    products.product_id,
    products.product_name,
    products.category,
    count(*) as views,
    count(distinct fact_web.session_sk) as sessions
from {{ ref('fact_web') }} as fact_web
inner join {{ ref('dim_date') }} as dim_date on fact_web.date_sk = dim_date.date_sk
inner join {{ ref('dim_product') }} as products on fact_web.product_sk = products.product_sk
where fact_web.event_type = 'product_view'
group by 1, 2, 3, 4, 5
