-- Grain: one row per UTC day on which sessions began, referring domain and campaign (source, medium, name).
-- The domain is the registered one of the referrer's host (`shop.co.uk` of `m.shop.co.uk`); null: the first event named no address.
select
    (sessions.started_at at time zone 'UTC')::date as session_date,
    domains.domain as referrer_domain,
    sessions.utm_source,
    sessions.utm_medium,
    sessions.utm_campaign,
    count(*) as sessions,
    count(*) filter (where sessions.orders > 0) as sessions_with_order,
    sum(sessions.orders)::bigint as orders
from {{ ref('fct_session') }} as sessions
left join {{ ref('stg_domain') }} as domains on {{ host_of('sessions.referrer') }} = domains.host
group by 1, 2, 3, 4, 5
