{#
  A view is made anew only when its query, its columns or their descriptions changed, or when it is gone. dbt's own way swaps every view in
  every run: each swap is a dozen statements, takes a lock that waits for readers and makes them wait, and drops the views that read this one.
#}
{% materialization view, adapter='postgres' %}
    {%- set checksum = local_md5(sql ~ tojson(model.columns, sort_keys=true) ~ model.description) -%}
    {%- set kept = run_query(
        "select to_regclass(view) is not null from " ~ schema_named("staging") ~ ".built_view where view = '" ~ this.include(database=false) ~ "'"
        ~ " and checksum = '" ~ checksum ~ "'"
    ).rows -%}
    {%- if kept and kept[0][0] and not flags.FULL_REFRESH -%}
        {%- call noop_statement('main', 'unchanged') -%} {%- endcall -%}
        {{ return({'relations': [this.incorporate(type='view')]}) }}
    {%- endif -%}
    {%- set made = materialization_view_default() -%}
    {%- call statement('note') -%}
        insert into {{ schema_named('staging') }}.built_view values ('{{ this.include(database=false) }}', '{{ checksum }}')
        on conflict (view) do update set checksum = excluded.checksum
    {%- endcall -%}
    {%- do adapter.commit() -%}
    {{ return(made) }}
{% endmaterialization %}
