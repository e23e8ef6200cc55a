-- Grain: one row per user agent, plus the unknown member.
{{ config(incremental_strategy='append', indexes=[{'columns': ['load_id']}]) }}

with seen as (

    select
        user_agent,
        min(load_id) as load_id
    from {{ ref('stg_web_event') }}
    where user_agent is not null and {{ is_new() }}
    group by user_agent

),

keyed as (

    select
        {{ surrogate_key(['seen.user_agent']) }} as user_agent_key,
        seen.user_agent,
        parsed.browser,
        parsed.os,
        parsed.device,
        parsed.browser_version,
        parsed.os_version,
        seen.load_id
    from seen
    left join {{ ref('stg_user_agent') }} as parsed on sha256(convert_to(seen.user_agent, 'UTF8')) = parsed.user_agent_sha

),

members as (

    select keyed.* from keyed
    {% if is_incremental() %}
        left join {{ this }} as held on keyed.user_agent_key = held.user_agent_key
        where held.user_agent_key is null
    {% else %}
        union all
        select {{ unknown_key() }}, {{ nulls(6) }}, -1
    {% endif %}

)

select * from members
