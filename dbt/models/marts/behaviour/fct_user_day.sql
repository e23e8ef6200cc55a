-- Grain: one row per UTC day, event type and user (the unknown member for events that name none).
-- Counts are added to what is there, so a late event ends on its own day and a run reads the new events and the rows they add to only.
{{ config(incremental_strategy='merge', unique_key='user_day_sk', indexes=[{'columns': ['activity_date']}, {'columns': ['load_id']}]) }}

with new_counts as (

    select
        (event_ts at time zone 'UTC')::date as activity_date,
        event_type,
        user_id,
        count(*)::integer as event_count,
        max(load_id) as load_id
    from {{ ref('stg_event') }}
    where {{ is_new() }}
    group by 1, 2, 3

),

keyed as (

    select
        {{ surrogate_key(['activity_date', 'event_type', 'user_id']) }} as user_day_sk,
        activity_date,
        event_type,
        {{ member_key('user_id') }} as user_sk,
        event_count,
        load_id
    from new_counts

)

select
    keyed.user_day_sk,
    keyed.activity_date,
    keyed.event_type,
    keyed.user_sk,
    keyed.event_count {%- if is_incremental() %} + coalesce(held.event_count, 0) {%- endif %} as event_count,
    keyed.load_id
from keyed
{% if is_incremental() %}
    left join {{ this }} as held on keyed.user_day_sk = held.user_day_sk
{% endif %}
