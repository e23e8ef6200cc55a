-- Grain: one row per UTC day on which sessions began, device and country. Each step counts the sessions that got at least that far.
select
    (started_at at time zone 'UTC')::date as session_date,
    device_type,
    geo_country,
    count(*) as sessions,
    count(*) filter (where product_views + cart_adds + order_requests + orders > 0) as viewed,
    count(*) filter (where cart_adds + order_requests + orders > 0) as added,
    count(*) filter (where order_requests + orders > 0) as requested,
    count(*) filter (where orders > 0) as bought,
    count(*) filter (where is_cart_abandoned) as abandoned_carts
from {{ ref('fct_session') }}
group by 1, 2, 3
