-- Grain: one row per UTC day on which sessions began, referring host and campaign (source, medium, name).
-- The host is the referrer's, in lower case, without port and `www.`; null: the first event named no address elsewhere.
select
    (started_at at time zone 'UTC')::date as session_date,
    regexp_replace(lower(substring(referrer from '^[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^/?#@]*@)?([^/?#:]+)')), '^www\.', '') as referrer_host,
    utm_source,
    utm_medium,
    utm_campaign,
    count(*) as sessions,
    count(*) filter (where orders > 0) as sessions_with_order,
    sum(orders)::bigint as orders
from {{ ref('fct_session') }}
group by 1, 2, 3, 4, 5
