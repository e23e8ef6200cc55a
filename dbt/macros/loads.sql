{#
  Which loads does a run read? Each model remembers, in its own transaction, the last load it holds (staging.load_position); each run
  pins the last load that was committed when it began (staging.load_horizon). A model reads the loads between the two and nothing
  else, so its cost follows the new rows, and every model of a run sees the same loads although the loader may commit meanwhile.
  A load whose values are not in the reference data yet (loglake/reference.py) waits for the next run.
  max(load_id) of a model's own rows would not do: a load without, say, an order leaves no trace there and would be read again for ever.

  A model's position is read under a lock that its transaction keeps. So of two runs at once the second waits at each model and goes on
  where the first one ended, and the position never goes back, except when the model is made anew.

  What "new" means to a test is another thing: a failed test must not turn green because the retry finds nothing new.
  So the position of `tests` moves only when all of them have passed.
#}

{# SQL of on-run-start: pin the horizon of this run; what is made anew counts as untested. #}
{% macro begin_run() %}
    {% if execute and flags.WHICH in ('run', 'build', 'snapshot', 'test') %}
        create table if not exists {{ schema_named('staging') }}.load_horizon (
            invocation_id text primary key,
            load_id bigint not null,
            started_at timestamptz not null
        );
        create table if not exists {{ schema_named('staging') }}.load_position (
            node text primary key,
            load_id bigint not null,
            updated_at timestamptz not null
        );
        create table if not exists {{ schema_named('staging') }}.built_view (
            view text primary key,
            checksum text not null
        );
        delete from {{ schema_named('staging') }}.load_horizon where started_at < now() - interval '7 days';
        insert into {{ schema_named('staging') }}.load_horizon
        select '{{ invocation_id }}', coalesce(max(load_id), -1), now() from {{ source('ops', 'load_manifest') }}
        where load_id <= (select held.load_id from {{ source('raw', 'ref_position') }} as held);
        {% if flags.FULL_REFRESH %}
            delete from {{ schema_named('staging') }}.load_position where node = 'tests';
        {% endif %}
    {% endif %}
{% endmacro %}

{# SQL: the last load this run may read, and the last load that `node` holds; no row, and so null, before the first. #}
{% macro horizon_sql() %}
    (select load_id from {{ schema_named('staging') }}.load_horizon where invocation_id = '{{ invocation_id }}')
{%- endmacro %}

{% macro position_sql(node, lock='') %}
    (select load_id from {{ schema_named('staging') }}.load_position where node = '{{ node }}' {{ lock }})
{%- endmacro %}

{# The same as numbers. #}
{% macro horizon() %}
    {% do return(load_numbers([horizon_sql()])[0]) %}
{% endmacro %}

{% macro position(node) %}
    {% do return(load_numbers([position_sql(node)])[0]) %}
{% endmacro %}

{#
  Numbers of loads, asked for in one query: literals in the models' SQL, so that the planner can weigh them. -1 for a null, and where no
  run has begun (docs, compile), which reads nothing.
#}
{% macro load_numbers(expressions) %}
    {% if not execute or flags.WHICH not in ('run', 'build', 'snapshot', 'test') %}
        {% do return([-1] * expressions | length) %}
    {% endif %}
    {% set wanted = [] %}
    {% for expression in expressions %}
        {% do wanted.append('coalesce(' ~ expression ~ ', -1) as number_' ~ loop.index) %}
    {% endfor %}
    {% do return(run_query('select ' ~ wanted | join(', ')).rows[0].values()) %}
{% endmacro %}

{# Predicate: the row came in a load that `table` (the node itself, unless said) has not read yet; any load when it is made anew. #}
{% macro is_new(table=none) %}
    {%- set table = table or this -%}
    {%- set held, upto = load_numbers([position_sql(table.identifier, lock='for update'), horizon_sql()]) -%}
    {%- set after = held if is_kept(table) else -1 -%}
    {%- if after > upto and after > load_numbers(['(select max(load_id) from ' ~ source('ops', 'load_manifest') ~ ')'])[0] -%}
        {{ exceptions.raise_compiler_error(
            table.identifier ~ " holds load " ~ after ~ ", the books end at " ~ upto ~ ": raw was made anew; run `loglake model --full-refresh`"
        ) }}
    {%- endif -%}
    load_id > {{ after }} and load_id <= {{ upto }}
{%- endmacro %}

{# SQL of a pre-hook for a node whose query is compiled apart, in another transaction: the same lock as is_new() takes. #}
{% macro lock_position() %}
    select load_id from {{ schema_named('staging') }}.load_position
    where node = '{{ this.identifier }}'
    for update
{% endmacro %}

{# Whether a table is there and stays. #}
{% macro is_kept(table) %}
    {% do return(execute and load_cached_relation(table) is not none and not flags.FULL_REFRESH) %}
{% endmacro %}

{# SQL of each model's post-hook, in the model's transaction: it now holds everything up to the horizon. #}
{% macro record_position() %}
    {% set reached = 'excluded.load_id' if flags.FULL_REFRESH else 'greatest(excluded.load_id, held.load_id)' %}
    insert into {{ schema_named('staging') }}.load_position as held values ('{{ this.identifier }}', {{ horizon_sql() }}, now())
    on conflict (node) do update set load_id = {{ reached }}, updated_at = excluded.updated_at
    where held.load_id is distinct from {{ reached }}
{% endmacro %}

{# A test's `where: __untested__` means: rows of loads that no finished build has tested yet. #}
{% macro get_where_subquery(relation) %}
    {% set where = config.get('where', '') %}
    {% if where %}
        {% do return("(select * from " ~ relation ~ " where " ~ where | replace('__untested__', is_untested()) ~ ") as untested") %}
    {% endif %}
    {% do return(relation) %}
{% endmacro %}

{% macro is_untested() %}
    {%- set all_history = invocation_args_dict.get('selector') == 'full_tests' -%}
    {%- set tested, upto = load_numbers([position_sql('tests'), reach_sql()]) -%}
    {%- do return('load_id > ' ~ (-1 if all_history else tested) ~ ' and load_id <= ' ~ upto) -%}
{% endmacro %}

{#
  The last load that everything a test reads holds: of two marts that are not brought up to date together, one may lie behind, and what
  another run brings meanwhile is that run's to test.
#}
{% macro reach_sql() %}
    {% set names = [] %}
    {% for node in (model.depends_on.nodes if execute else []) %}
        {% do names.append(node.split('.')[-1]) %}
    {% endfor %}
    (select least({{ horizon_sql() }}, min(load_id)) from {{ schema_named('staging') }}.load_position
    where node in ('{{ names | join("', '") }}'))
{%- endmacro %}

{% macro reach() %}
    {% do return(load_numbers([reach_sql()])[0]) %}
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
            insert into {{ schema_named('staging') }}.load_position as held
            select 'tests', least({{ horizon_sql() }}, min(load_id)), now() from {{ schema_named('staging') }}.load_position
            where node in ('{{ loaded | map(attribute='name') | join("', '") }}')
            on conflict (node) do update
            set load_id = greatest(excluded.load_id, held.load_id), updated_at = excluded.updated_at;
        {% endif %}
    {% endif %}
{% endmacro %}
