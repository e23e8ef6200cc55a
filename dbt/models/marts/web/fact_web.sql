-- Grain: one row per page, product, search or cart event. Append-only, as fact_event.
-- The index by session gives search_clicks the next step of a session.
{{
    config(
        incremental_strategy='append',
        indexes=[{'columns': ['session_sk', 'event_ts', 'event_sk']}, {'columns': ['load_id']}],
    )
}}

with events as (

    select * from {{ ref('stg_web_event') }}
    where {{ is_new() }}

)

select
    events.event_id as event_sk,
    {{ member_key('events.user_id') }} as user_sk,
    {{ member_key('events.product_id') }} as product_sk,
    {{ date_key('events.event_ts') }} as date_sk,
    {{ location_key() }} as ip_key,
    {{ member_key('events.user_agent') }} as user_agent_key,
    {{ surrogate_key(['events.session_id']) }} as session_sk,
    events.event_type,
    events.event_ts,
    events.page_url,
    domains.domain as referrer_domain,
    events.status_code,
    events.latency_ms,
    events.load_id
from events
left join {{ ref('stg_domain') }} as domains on events.referrer_host = domains.host
