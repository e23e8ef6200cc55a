-- Grain: one row per user, plus the unknown member. The row is the latest description of the user (macros/members.sql).
{{ config(incremental_strategy='merge', unique_key='user_sk', indexes=[{'columns': ['load_id']}]) }}

with mentions as (

    select * from {{ ref('stg_user') }}
    where {{ is_new() }}

),

latest as (

    {{ latest_mentions('user_id') }}

),

keyed as (

    select
        {{ surrogate_key(['user_id']) }} as user_sk,
        user_id,
        username,
        {{ pseudonym('email') }} as email,
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

    {{ newer_members('user_sk', attributes=8) }}

)

select * from members
