{#
  The status of an order and the event types that set it, weakest first: an order has the strongest status any of its events gave it,
  whatever the order in which they arrive. One place for both; a unit test holds it against loglake.events.STATUS_OF.
#}
{% macro order_event_types() -%}
    'order_request', 'payment_failed', 'order_complete_response', 'order_refunded'
{%- endmacro %}

{% macro order_status_rank(status) -%}
    array_position(array['requested', 'payment_failed', 'completed', 'refunded'], {{ status }})
{%- endmacro %}
