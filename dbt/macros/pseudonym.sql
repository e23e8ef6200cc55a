{# What stands for personal data in the marts: a keyed hash, the key of which only Postgres' superuser can read (loglake/privacy.py). #}
{% macro pseudonym(column) -%}
    vault.pseudonym({{ column }})
{%- endmacro %}
