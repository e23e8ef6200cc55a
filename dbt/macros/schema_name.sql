{#
  A model's schema is exactly the one it is configured with; dbt's own rule would put the target's schema in front. `loglake rebuild` builds
  everything in other schemas, with a prefix, before it swaps them in: so every schema's name comes from here.
#}
{% macro schema_named(name) -%}
    {{ env_var('LOGLAKE_DBT_SCHEMA_PREFIX', '') }}{{ name }}
{%- endmacro %}

{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ schema_named(custom_schema_name if custom_schema_name else target.schema) }}
{%- endmacro %}
