{#
  What dimensions have in common. The row of a member is its latest description, taken as a whole: the event with the greatest
  (event_ts, event_id) among those that say more than the id, whichever load it came in. An event that merely mentions the member counts
  only while nothing describes it, so it never blanks what is known; a late event never takes the row backwards.
#}

{# The latest description, or else mention, of each member in `mentions`, the new events that name one. #}
{% macro latest_mentions(id) -%}
    select distinct on ({{ id }}) *
    from mentions
    order by {{ id }} asc, is_description desc, event_ts desc, event_id desc
{%- endmacro %}

{#
  The rows of `keyed` that are new to the dimension or newer than what it holds. When it is made anew: all of them, and the unknown
  member, with so many `attributes` (the columns between the key and is_described) that are null.
#}
{% macro newer_members(key, attributes) -%}
    select keyed.* from keyed
    {% if is_incremental() %}
        left join {{ this }} as held on keyed.{{ key }} = held.{{ key }}
        where
            held.{{ key }} is null
            or (keyed.is_described, keyed.described_at, keyed.described_by) > (held.is_described, held.described_at, held.described_by)
    {% else %}
        union all
        select {{ unknown_key() }}, {{ nulls(attributes) }}, false, null, null, -1
    {% endif %}
{%- endmacro %}
