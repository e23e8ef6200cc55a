{#
  Surrogate keys are hashes, so a fact computes its keys from the ids it holds and joins nothing.
  They do not collide: each part carries its length, so ('a', 'bc') and ('ab', 'c') differ, a null differs from every text,
  and the hash is SHA-256 cut to a uuid's 128 bits, since ids come from outside and MD5 collisions can be made to order.
#}
{% macro surrogate_key(parts) -%}
    encode(substr(sha256(convert_to(
    {%- for part in parts -%}
        {{ " || " if not loop.first }}coalesce(length({{ part }}::text)::text || ':' || {{ part }}::text, '-')
    {%- endfor -%}
    , 'UTF8')), 1, 16), 'hex')::uuid
{%- endmacro %}

{# The key of a dimension's unknown member, which facts without an id refer to: no fact row is lost for want of a dimension row. #}
{% macro unknown_key() -%}
    '00000000-0000-0000-0000-000000000000'::uuid
{%- endmacro %}

{# The surrogate key of a dimension member by its id, or the unknown member's when there is no id. #}
{% macro member_key(id) -%}
    case when {{ id }} is null then {{ unknown_key() }} else {{ surrogate_key([id]) }} end
{%- endmacro %}

{# date_sk of a moment: its UTC hour as yyyymmddhh. #}
{% macro date_key(moment) -%}
    to_char({{ moment }} at time zone 'UTC', 'YYYYMMDDHH24')::bigint
{%- endmacro %}

{# date_sk of the unknown member of dim_date. #}
{% macro unknown_date_key() -%}
    0
{%- endmacro %}

{# The attributes of an unknown member: so many nulls. #}
{% macro nulls(count) -%}
    {{ (['null'] * count) | join(', ') }}
{%- endmacro %}
