{# Predicate: the moment lies before the end of the newest month that was retired, so raw may lack its events (loglake/retention.py). #}
{% macro is_retired(moment) %}
    coalesce({{ moment }} < (
        select (max(month) + interval '1 month') at time zone 'UTC' from {{ source('raw', 'retired_month') }}
    ), false)
{%- endmacro %}
