-- Grain: one row per country and currency that sessions from there bought in; no currency: the sessions that bought nothing.
select
    country.country_code,
    coalesce(country.country_name, sessions.geo_country) as country_name,
    country.region,
    sessions.currency,
    count(*) as sessions,
    sum(sessions.page_views + sessions.product_views)::bigint as views,
    sum(sessions.orders)::bigint as orders,
    sum(sessions.revenue)::numeric(14, 2) as revenue
from {{ ref('fct_session') }} as sessions
left join {{ ref('stg_country') }} as country on sessions.geo_country = country.spelling
group by 1, 2, 3, 4
