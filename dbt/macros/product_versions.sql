{# The latest description of each product in the loads that the snapshot has not read. #}
{% macro latest_product_descriptions() -%}
    select distinct on (product_id) *
    from {{ ref('stg_products') }}
    where is_description and {{ is_new() }}
    order by product_id asc, event_ts desc, event_id desc
{%- endmacro %}

{#
  SQL of a post-hook: a description that changed nothing still confirms the current version until its own time. Without it a late event,
  newer than the version but older than what confirmed it, would pass for a change.
#}
{% macro confirm_product_versions() -%}
    update {{ this }} as held
    set described_at = latest.event_ts
    from ({{ latest_product_descriptions() }}) as latest
    where
        held.product_id = latest.product_id
        and held.dbt_valid_to is null
        and held.described_at < latest.event_ts
{%- endmacro %}

{# Versions are dated by event time, which has a zone; dbt's own default for Postgres has none, and dbt would warn that they differ. #}
{% macro postgres__snapshot_get_time() -%}
    now()
{%- endmacro %}
