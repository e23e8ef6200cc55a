-- Grain: one row per UTC hour, browser and operating system.
select
    dim_date.timestamp as hour,
    clients.browser,
    clients.os,
    count(*) as events,
    count(distinct fact_web.session_sk) as sessions
from {{ ref('fact_web') }} as fact_web
inner join {{ ref('dim_date') }} as dim_date on fact_web.date_sk = dim_date.date_sk
inner join {{ ref('dim_user_agent') }} as clients on fact_web.user_agent_key = clients.user_agent_key
group by 1, 2, 3
