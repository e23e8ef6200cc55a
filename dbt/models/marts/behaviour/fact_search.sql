-- Grain: one row per answer to a search. Append-only, as fact_event.
{{ config(incremental_strategy='append', indexes=[{'columns': ['load_id']}]) }}

with searches as (

    select * from {{ ref('stg_event') }}
    where event_type = 'search_response' and {{ is_new() }}

)

select
    event_id as search_sk,
    {{ member_key('user_id') }} as user_sk,
    {{ date_key('event_ts') }} as date_sk,
    session_id,
    lower(regexp_replace(trim(search_query), '\s+', ' ', 'g')) as query,
    search_result_count as result_count,
    latency_ms,
    load_id
from searches
