-- Grain: one row per event that names a user. `is_description`: the event says more of the user than the id.
with source as (

    select * from {{ source('raw', 'log_events') }}

),

renamed as (

    select
        event_id,
        event_type,
        event_ts,
        user_id,
        user_username as username,
        user_email as email,
        user_sex as sex,
        user_age as age,
        user_country as country,
        user_city as city,
        num_nonnulls(user_username, user_email, user_sex, user_age, user_country, user_city) > 0 as is_description,
        load_id
    from source
    where user_id is not null

)

select * from renamed
