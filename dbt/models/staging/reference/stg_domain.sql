-- Grain: one row per host of a referrer, with its registered domain.
{{ config(materialized='ephemeral') }}

select
    host,
    domain
from {{ source('raw', 'ref_domain') }}
