{# Of each untested load, a table holds as many rows as `booked`, a column of the books, says: none lost, none twice. #}
{% test rows_as_booked(model, booked) %}
    with books as (

        select
            load_id,
            {{ booked }} as rows_booked
        from {{ source('ops', 'load_manifest') }}
        where {{ is_untested() }}

    ),

    rows_by_load as (

        select
            load_id,
            count(*) as rows_held
        from {{ model }}
        where {{ is_untested() }}
        group by load_id

    )

    select
        load_id,
        books.rows_booked,
        rows_by_load.rows_held
    from books
    full outer join rows_by_load using (load_id)
    where coalesce(books.rows_booked, 0) <> coalesce(rows_by_load.rows_held, 0)
{% endtest %}
