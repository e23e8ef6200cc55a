-- Grain: one row per event. Append-only: the warehouse holds each event_id once, so an event is never read twice.
-- The long index holds all that the monitor's map asks of the events of a range: it reads no row of the table.
{{
    config(
        incremental_strategy='append',
        indexes=[
            {'columns': ['load_id']},
            {'columns': ['date_sk', 'event_type', 'geo_country', 'geo_city', 'device_type']},
        ],
    )
}}

with events as (

    select * from {{ ref('stg_event') }}
    where {{ is_new() }}

)

select
    event_id as event_sk,
    {{ member_key('user_id') }} as user_sk,
    {{ member_key('product_id') }} as product_sk,
    {{ date_key('event_ts') }} as date_sk,
    event_type,
    session_id,
    device_type,
    geo_country,
    geo_city,
    load_id
from events
