{# What a description says of a product; the stock, which every order changes, is not of it. #}
{% macro product_attribute_names() -%}
    {% do return(['product_name', 'category', 'subcategory', 'brand', 'description', 'price', 'rating']) %}
{%- endmacro %}

{# The key of what a product's description says (marts.product_attributes). #}
{% macro product_attributes_key() -%}
    {{ surrogate_key(product_attribute_names()) }}
{%- endmacro %}
