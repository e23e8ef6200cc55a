-- Stops: the current version of a product says another thing of it than dim_product does, while both hold the same loads. Reads
-- everything: `full`.
{{ config(tags=['full']) }}

with versions as (

    select * from {{ ref('cdc_product') }}
    where dbt_valid_to is null

),

products as (

    select * from {{ ref('dim_product') }}
    where is_described

)

select
    products.product_id,
    versions.product_id as version_of
from products
full outer join versions on products.product_id = versions.product_id
where
    {{ position('dim_product') }} = {{ position('cdc_product') }}
    and (products.described_by, {{ product_attributes('products') }})
    is distinct from (versions.described_by, {{ product_attributes('versions') }})
