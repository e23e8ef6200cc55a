-- Grain: one row per user agent, by the SHA-256 of its text.
{{ config(materialized='ephemeral') }}

select
    user_agent_sha,
    browser,
    browser_version,
    os,
    os_version,
    device
from {{ source('raw', 'ref_user_agent') }}
