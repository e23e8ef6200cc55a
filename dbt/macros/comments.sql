{# A table's comments are written only where they differ from what it has: comments are rows of the catalog, and a run changes none. #}
{% macro postgres__persist_docs(relation, model, for_relation, for_columns) %}
    {% set has = {} %}
    {% for row in run_query(
        "select coalesce(a.attname, ''), d.description from pg_description as d left join pg_attribute as a"
        ~ " on d.objoid = a.attrelid and d.objsubid = a.attnum and a.attnum > 0"
        ~ " where d.classoid = 'pg_class'::regclass and d.objoid = '" ~ relation ~ "'::regclass"
    ).rows %}
        {% do has.update({row[0]: row[1]}) %}
    {% endfor %}
    {% set wanted = {} %}
    {% for name, column in model.columns.items() if column.description and has.get(name) != column.description %}
        {% do wanted.update({name: column}) %}
    {% endfor %}
    {% if wanted or has.get('') != model.description %}
        {{ default__persist_docs(relation, model, for_relation, for_columns) }}
    {% endif %}
{% endmacro %}
