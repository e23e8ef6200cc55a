-- Grain: one row per user of whom an e-mail address is known: the latest one. A view, so that no copy of the address is kept.
with latest as (

    select distinct on (user_id)
        user_id,
        email,
        event_ts
    from {{ ref('stg_user') }}
    where email is not null
    order by user_id asc, event_ts desc, event_id desc

)

select
    {{ surrogate_key(['user_id']) }} as user_sk,
    user_id,
    email,
    event_ts as described_at
from latest
