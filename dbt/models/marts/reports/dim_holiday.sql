-- Grain: one row per country that events came from and nationwide public holiday, over the years of dim_calendar.
with countries as (

    select distinct
        country_code,
        country_name
    from {{ ref('stg_country') }}

)

select
    holidays.holiday_date,
    holidays.country_code,
    countries.country_name,
    holidays.holiday_name
from {{ ref('stg_holiday') }} as holidays
inner join countries on holidays.country_code = countries.country_code
