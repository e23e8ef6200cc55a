-- Grain: one row per UTC day and event type.
select
    activity_date,
    event_type,
    sum(event_count)::bigint as event_count,
    count(*) filter (where user_sk <> {{ unknown_key() }}) as unique_users
from {{ ref('fct_user_day') }}
group by activity_date, event_type
