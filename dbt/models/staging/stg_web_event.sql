-- Grain: one row per page, product, search or cart event, with the network instead of the client's address and pages without their query.
with source as (

    select * from {{ source('raw', 'log_events') }}

),

renamed as (

    select
        event_id,
        event_type,
        event_ts,
        session_id,
        user_id,
        product_id,
        {{ network_of('geo_ip') }} as ip,
        geo_country,
        geo_city,
        device_user_agent as user_agent,
        {{ page_of('page_url') }} as page_url,
        {{ host_of('page_referrer') }} as referrer_host,
        status_code,
        latency_ms,
        load_id
    from source
    where event_type in ({{ web_event_types() }})

)

select * from renamed
