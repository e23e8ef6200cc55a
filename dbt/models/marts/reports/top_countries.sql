-- Grain: one row per country, at most ten: those with the most views, over all time.
select
    country_code,
    country_name,
    sum(views)::bigint as views,
    sum(sessions)::bigint as sessions,
    sum(orders)::bigint as orders
from {{ ref('store_performance') }}
where country_name is not null
group by country_code, country_name
order by views desc, country_name asc
limit 10
