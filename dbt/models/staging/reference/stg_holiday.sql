-- Grain: one row per country and nationwide public holiday.
{{ config(materialized='ephemeral') }}

select
    country_code,
    holiday_date,
    name as holiday_name
from {{ source('raw', 'ref_holiday') }}
