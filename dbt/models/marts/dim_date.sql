-- Grain: one row per UTC hour in which anything happened, plus the unknown member.
{{ config(incremental_strategy='append') }}

with hours as (

    select
        date_trunc('hour', event_ts, 'UTC') as hour,
        min(load_id) as load_id
    from {{ ref('stg_event') }}
    where {{ is_new() }}
    group by date_trunc('hour', event_ts, 'UTC')

),

keyed as (

    select
        {{ date_key('hour') }} as date_sk,
        hour as timestamp,
        extract(year from hour at time zone 'UTC')::integer as year,
        extract(month from hour at time zone 'UTC')::integer as month,
        extract(day from hour at time zone 'UTC')::integer as day,
        extract(week from hour at time zone 'UTC')::integer as week,
        extract(quarter from hour at time zone 'UTC')::integer as quarter,
        load_id,
        (hour at time zone 'UTC')::date as calendar_date
    from hours

),

members as (

    select keyed.* from keyed
    {% if is_incremental() %}
        left join {{ this }} as held on keyed.date_sk = held.date_sk
        where held.date_sk is null
    {% else %}
        union all
        select {{ unknown_date_key() }}, {{ nulls(6) }}, -1, null
    {% endif %}

)

select * from members
