-- Grain: one row per version of a product, by event time: a late change lies between the versions around it.
with changes as (

    select
        description_sk,
        product_sk,
        attributes_sk,
        described_at as valid_from,
        lead(described_at) over (
            partition by product_sk
            order by described_at asc, description_sk asc
        ) as valid_to
    from {{ ref('product_description') }}
    where is_change

)

select
    changes.description_sk as version_sk,
    changes.product_sk,
    products.product_id,
    attributes.product_name,
    attributes.category,
    attributes.subcategory,
    attributes.brand,
    attributes.description,
    attributes.price,
    attributes.rating,
    changes.valid_from,
    changes.valid_to,
    changes.valid_to is null as is_current
from changes
inner join {{ ref('product_attributes') }} as attributes on changes.attributes_sk = attributes.attributes_sk
inner join {{ ref('dim_product') }} as products on changes.product_sk = products.product_sk
where changes.valid_from is distinct from changes.valid_to
