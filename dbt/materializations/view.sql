{#
  A view is made anew only when its query, its columns or their descriptions changed, or when it is gone. dbt's own way swaps every view in
  every run: each swap is a dozen statements, takes a lock that waits for readers and makes them wait, and drops the views that read this one.
#}
{% materialization view, adapter='postgres' %}
    {#- Without the prefix of a rebuild's schemas: after the swap the view is still the one that was built. -#}
    {%- set prefix = schema_named('') -%}
    {%- set query = sql | replace(prefix, '') if prefix else sql -%}
    {%- set checksum = local_md5(query ~ tojson(model.columns, sort_keys=true) ~ model.description) -%}
    {%- set kept = run_query(
        "select to_regclass('" ~ this.include(database=false) ~ "') is not null from " ~ schema_named("staging") ~ ".built_view"
        ~ " where view = '" ~ model.name ~ "' and checksum = '" ~ checksum ~ "'"
    ).rows -%}
    {%- if kept and kept[0][0] and not flags.FULL_REFRESH -%}
        {%- call noop_statement('main', 'unchanged') -%} {%- endcall -%}
        {{ return({'relations': [this.incorporate(type='view')]}) }}
    {%- endif -%}
    {%- set made = materialization_view_default() -%}
    {%- call statement('note') -%}
        insert into {{ schema_named('staging') }}.built_view values ('{{ model.name }}', '{{ checksum }}')
        on conflict (view) do update set checksum = excluded.checksum
    {%- endcall -%}
    {%- do adapter.commit() -%}
    {{ return(made) }}
{% endmaterialization %}
