-- Grain: one row per error event. Append-only, as fact_event.
{{ config(incremental_strategy='append', indexes=[{'columns': ['load_id']}]) }}

with errors as (

    select * from {{ ref('stg_event') }}
    where event_type = 'error' and {{ is_new() }}

)

select
    event_id as error_sk,
    {{ member_key('user_id') }} as user_sk,
    {{ date_key('event_ts') }} as date_sk,
    {{ surrogate_key(['session_id']) }} as session_sk,
    service,
    error_code,
    status_code,
    load_id
from errors
