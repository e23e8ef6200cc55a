-- Grain: one row per user, plus the unknown member.
-- The row is the latest description of the user, taken as a whole: the event with the greatest (event_ts, event_id) among those that say
-- more than the id, whichever load it came in. An event that merely mentions the user counts only while nothing describes them, so it
-- never blanks what is known. A late event changes nothing once a newer one is held: the row never goes backwards.
{{ config(incremental_strategy='merge', unique_key='user_sk') }}

with latest as (

    select distinct on (user_id) *
    from {{ ref('stg_user') }}
    where {{ is_new() }}
    order by user_id asc, is_description desc, event_ts desc, event_id desc

),

keyed as (

    select
        {{ surrogate_key(['user_id']) }} as user_sk,
        user_id,
        username,
        email,
        sex,
        age,
        country,
        city,
        event_type as source,
        is_description as is_described,
        event_ts as described_at,
        event_id as described_by,
        load_id
    from latest

),

members as (

    select keyed.* from keyed
    {% if is_incremental() %}
        left join {{ this }} as held on keyed.user_sk = held.user_sk
        where
            held.user_sk is null
            or (keyed.is_described, keyed.described_at, keyed.described_by) > (held.is_described, held.described_at, held.described_by)
    {% else %}
        union all
        select {{ unknown_key() }}, {{ nulls(8) }}, false, null, null, -1
    {% endif %}

)

select * from members
