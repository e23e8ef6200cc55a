{# What a visitor does, or the shop answers: the event types of fact_web. #}
{% macro web_event_types() -%}
    'page_view', 'product_view', 'search_request', 'search_response', 'add_to_cart', 'remove_from_cart'
{%- endmacro %}

{#
  The network of a client's address, which is no person's: /24 of IPv4, /48 of IPv6. Null for a text that is no address.
  An IPv4 address that a server on IPv6 writes as `::ffff:192.0.2.7` is IPv4 (Postgres writes it so, in whatever dress it came).
#}
{% macro network_of(address) -%}
    {%- set client = "regexp_replace(host(" ~ address ~ "::inet), '^::ffff:(?=[0-9]+[.])', '')::inet" -%}
    case
        when pg_input_is_valid({{ address }}, 'inet')
            then network(set_masklen({{ client }}, case family({{ client }}) when 4 then 24 else 48 end))::text
    end
{%- endmacro %}

{# The host in an address, in lower case, without port and `www.`. A unit test holds the pattern against loglake/reference.py. #}
{% macro host_of(address) -%}
    left(lower(substring({{ address }} from '(?i)^[a-z][a-z0-9+.-]*://(?:[^/?#@]*@)?(?:www\.)?(\[[^]]+\]|[^][/?#:]+)')), 253)
{%- endmacro %}

{# The address of a page without its query and fragment, and without a user's name before the host. #}
{% macro page_of(url) -%}
    regexp_replace(split_part(split_part({{ url }}, '?', 1), '#', 1), '^([a-zA-Z][a-zA-Z0-9+.-]*://)[^/]*@', '\1')
{%- endmacro %}

{# The key of dim_location: one for each place that events tell together. #}
{% macro location_key() -%}
    case
        when num_nonnulls(ip, geo_country, geo_city) = 0 then {{ unknown_key() }}
        else {{ surrogate_key(['ip', 'geo_country', 'geo_city']) }}
    end
{%- endmacro %}
