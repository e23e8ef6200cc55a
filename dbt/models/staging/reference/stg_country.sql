-- Grain: one row per value of geo_country, with the country it means.
{{ config(materialized='ephemeral') }}

select
    spelling,
    country_code,
    country_name,
    region,
    continent
from {{ source('raw', 'ref_country') }}
