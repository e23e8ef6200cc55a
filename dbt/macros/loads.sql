{#
  Which loads does a run read? Each model remembers, in its own transaction, the last load it holds (staging.load_position); each run
  pins the last load that was committed when it began (staging.load_horizon). A model reads the loads between the two and nothing
  else, so its cost follows the new rows, and every model of a run sees the same loads although the loader may commit meanwhile.
  max(load_id) of a model's own rows would not do: a load without, say, an order leaves no trace there and would be read again for ever.

  What "new" means to a test is another thing: a failed test must not turn green because the retry finds nothing new.
  So the position of `tests` moves only when all of them have passed.
#}

{# SQL of on-run-start: pin the horizon of this run. #}
{% macro begin_run() %}
    {% if execute and flags.WHICH in ('run', 'build', 'snapshot', 'test') %}
        create table if not exists staging.load_horizon (
            invocation_id text primary key,
            load_id bigint not null,
            started_at timestamptz not null
        );
        create table if not exists staging.load_position (
            node text primary key,
            load_id bigint not null,
            updated_at timestamptz not null
        );
        delete from staging.load_horizon where started_at < now() - interval '7 days';
        insert into staging.load_horizon
        select '{{ invocation_id }}', coalesce(max(load_id), -1), now() from {{ source('ops', 'load_manifest') }};
    {% endif %}
{% endmacro %}

{# The last load this run may read. #}
{% macro horizon() %}
    {% do return(load_number("staging.load_horizon where invocation_id = '" ~ invocation_id ~ "'")) %}
{% endmacro %}

{# The last load that `node` holds; -1 before its first run. #}
{% macro position(node) %}
    {% do return(load_number("staging.load_position where node = '" ~ node ~ "'")) %}
{% endmacro %}

{# max(load_id) as a number: a literal in the models' SQL, so that the planner can weigh it. -1 for none, or before the first run. #}
{% macro load_number(from_where) %}
    {% if not execute or run_query("select to_regclass('staging.load_position') is null").rows[0][0] %}
        {% do return(-1) %}
    {% endif %}
    {% do return(run_query("select coalesce(max(load_id), -1) from " ~ from_where).rows[0][0]) %}
{% endmacro %}

{# Predicate: the row came in a load that this model or snapshot has not read yet (any load when its table is made anew). #}
{% macro is_new(column='load_id') %}
    {%- set kept = execute and load_cached_relation(this) is not none and not flags.FULL_REFRESH -%}
    {%- set after, upto = (position(this.identifier) if kept else -1), horizon() -%}
    {%- if kept and after > upto -%}
        {{ exceptions.raise_compiler_error(
            this.identifier ~ " holds load " ~ after ~ ", the books end at " ~ upto ~ ": raw was made anew; run `loglake model --full-refresh`"
        ) }}
    {%- endif -%}
    {{ column }} > {{ after }} and {{ column }} <= {{ upto }}
{%- endmacro %}

{# SQL of each model's post-hook, in the model's transaction: it now holds everything up to the horizon. #}
{% macro record_position() %}
    insert into staging.load_position values ('{{ this.identifier }}', {{ horizon() }}, now())
    on conflict (node) do update set load_id = excluded.load_id, updated_at = excluded.updated_at
    where staging.load_position.load_id is distinct from excluded.load_id
{% endmacro %}

{# A test's `where: __untested__` means: rows of loads that no finished build has tested yet. #}
{% macro get_where_subquery(relation) %}
    {% set where = config.get('where', '') %}
    {% if where %}
        {% do return("(select * from " ~ relation ~ " where " ~ where | replace('__untested__', is_untested()) ~ ") as untested") %}
    {% endif %}
    {% do return(relation) %}
{% endmacro %}

{% macro is_untested(column='load_id') %}
    {%- set all_history = invocation_args_dict.get('selector') == 'full_tests' -%}
    {%- do return(column ~ ' > ' ~ (-1 if all_history else position('tests'))) -%}
{% endmacro %}

{# SQL of on-run-end: when every test that reads new loads has run and none has failed, what the marts hold counts as tested. #}
{% macro finish_run(results) %}
    {% if execute and flags.WHICH in ('build', 'test') %}
        {% set passed = results | selectattr('status', 'in', ['pass', 'warn']) | map(attribute='node.unique_id') | list %}
        {% set loaded = graph.nodes.values() | selectattr('config.materialized', 'in', ['incremental', 'snapshot']) %}
        {% set missing = [] %}
        {% for test in graph.nodes.values() if test.resource_type == 'test' and 'full' not in test.tags and test.unique_id not in passed %}
            {% do missing.append(test.name) %}
        {% endfor %}
        {% if not missing %}
            insert into staging.load_position
            select 'tests', min(load_id), now() from staging.load_position
            where node in ('{{ loaded | map(attribute='name') | join("', '") }}')
            on conflict (node) do update set load_id = excluded.load_id, updated_at = excluded.updated_at;
        {% endif %}
    {% endif %}
{% endmacro %}
