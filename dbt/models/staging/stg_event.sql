-- Grain: one row per event, without the personal data that no mart needs.
with source as (

    select * from {{ source('raw', 'log_events') }}

),

renamed as (

    select
        event_id,
        event_type,
        event_ts,
        sent_at,
        service,
        level,
        session_id,
        user_id,
        product_id,
        order_id,
        order_amount,
        order_currency,
        device_type,
        device_os,
        device_browser,
        geo_country,
        geo_city,
        page_url,
        page_referrer,
        page_utm_source,
        page_utm_medium,
        page_utm_campaign,
        search_query,
        search_result_count,
        error_code,
        error_message,
        status_code,
        latency_ms,
        load_id
    from source

)

select * from renamed
