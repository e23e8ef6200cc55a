-- Grain: one row per UTC day, without a gap, from the first of January of the first event's year to the end of next year.
-- dim_date is by hour and holds the hours in which something happened; this is the date table that a BI tool wants. They meet in
-- dim_date.calendar_date.
with bounds as (

    select
        make_date(coalesce(min(year), extract(year from now() at time zone 'UTC')::integer), 1, 1) as first_day,
        make_date(extract(year from now() at time zone 'UTC')::integer + 1, 12, 31) as last_day
    from {{ ref('dim_date') }}

),

days as (

    select generate_series(first_day::timestamp, last_day::timestamp, interval '1 day')::date as calendar_date from bounds

),

holidays as (

    select
        holiday_date,
        string_agg(country_code, ', ' order by country_code) as holiday_countries
    from {{ ref('dim_holiday') }}
    group by holiday_date

)

select
    days.calendar_date,
    extract(year from days.calendar_date)::integer as year,
    extract(quarter from days.calendar_date)::integer as quarter,
    extract(month from days.calendar_date)::integer as month,
    extract(day from days.calendar_date)::integer as day,
    extract(isoyear from days.calendar_date)::integer as iso_year,
    extract(week from days.calendar_date)::integer as iso_week,
    extract(isodow from days.calendar_date)::integer as iso_weekday,
    extract(isodow from days.calendar_date) in (6, 7) as is_weekend,
    holidays.holiday_countries
from days
left join holidays on days.calendar_date = holidays.holiday_date
