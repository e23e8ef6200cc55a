{# The key of what a product's description says (marts.product_attributes): all of stg_products' attributes but the stock. #}
{% macro product_attributes_key() -%}
    {{ surrogate_key(['product_name', 'category', 'subcategory', 'brand', 'description', 'price', 'rating']) }}
{%- endmacro %}
