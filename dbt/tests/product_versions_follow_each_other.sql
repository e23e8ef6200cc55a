-- Stops: versions of a product overlap, leave a gap, are empty or have no current one. Reads everything: `full`.
{{ config(tags=['full']) }}

with versions as (

    select
        product_id,
        dbt_valid_from,
        dbt_valid_to,
        lead(dbt_valid_from) over (partition by product_id order by dbt_valid_from) as next_from
    from {{ ref('cdc_product') }}

)

select * from versions
where dbt_valid_to is distinct from next_from or dbt_valid_to <= dbt_valid_from
