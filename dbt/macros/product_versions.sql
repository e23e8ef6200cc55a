{# The latest description of each product in the loads that the snapshot has not read. #}
{% macro latest_product_descriptions(snapshot) -%}
    select distinct on (product_id) *
    from {{ ref('stg_products') }}
    where is_description and {{ is_new(snapshot) }}
    order by product_id asc, event_ts desc, event_id desc
{%- endmacro %}

{# What a version says of the product. #}
{% macro product_attributes(table) -%}
    {% for name in product_attribute_names() + ['stock'] -%}
        {{ table }}.{{ name }}{{ ", " if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#
  SQL of a post-hook, for what makes no version. A description that changed nothing still confirms the current version until its own time:
  without that a late event, newer than the version but older than what confirmed it, would pass for a change. And of two descriptions of
  one moment that come in different loads the one with the greater event_id stands, as in dim_product.
#}
{% macro confirm_product_versions() -%}
    update {{ this }} as held
    set ({{ (product_attribute_names() + ['stock']) | join(', ') }}, described_at, described_by)
        = ({{ product_attributes('latest') }}, latest.event_ts, latest.event_id)
    from ({{ latest_product_descriptions(this) }}) as latest
    where
        held.product_id = latest.product_id
        and held.dbt_valid_to is null
        and (held.described_at, held.described_by) < (latest.event_ts, latest.event_id)
{%- endmacro %}

{# Versions are dated by event time, which has a zone; dbt's own default for Postgres has none, and dbt would warn that they differ. #}
{% macro postgres__snapshot_get_time() -%}
    now()
{%- endmacro %}
