-- Grain: one row per network, country and city that events name together, plus the unknown member.
{{ config(incremental_strategy='append', indexes=[{'columns': ['load_id']}]) }}

with seen as (

    select
        ip,
        geo_country,
        geo_city,
        min(load_id) as load_id
    from {{ ref('stg_web_event') }}
    where num_nonnulls(ip, geo_country, geo_city) > 0 and {{ is_new() }}
    group by ip, geo_country, geo_city

),

keyed as (

    select
        {{ location_key() }} as ip_key,
        seen.ip,
        country.country_code,
        coalesce(country.country_name, seen.geo_country) as country_name,
        country.region,
        seen.geo_city as city,
        country.continent,
        seen.load_id
    from seen
    left join {{ ref('stg_country') }} as country on seen.geo_country = country.spelling

),

members as (

    select keyed.* from keyed
    {% if is_incremental() %}
        left join {{ this }} as held on keyed.ip_key = held.ip_key
        where held.ip_key is null
    {% else %}
        union all
        select {{ unknown_key() }}, {{ nulls(6) }}, -1
    {% endif %}

)

select * from members
