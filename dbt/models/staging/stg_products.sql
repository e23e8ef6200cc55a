-- Grain: one row per event that names a product outside its order lines. `is_description`: the event says more of it than the id.
with source as (

    select * from {{ source('raw', 'log_events') }}

),

renamed as (

    select
        event_id,
        event_type,
        event_ts,
        product_id,
        product_name,
        product_category as category,
        product_subcategory as subcategory,
        product_brand as brand,
        product_description as description,
        product_price as price,
        product_stock as stock,
        product_rating as rating,
        num_nonnulls(
            product_name, product_category, product_subcategory, product_brand,
            product_description, product_price, product_stock, product_rating
        ) > 0 as is_description,
        load_id
    from source
    where product_id is not null

)

select * from renamed
