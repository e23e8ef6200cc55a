-- Stops: a view of the marts has two rows where its first line promises one. A table's primary key says that of itself; a view has none.
-- Reads everything: `full`.
{{ config(tags=['full']) }}

{% set grains = [
    (ref('conversion_funnel'), 'session_date, device_type, geo_country'),
    (ref('daily_revenue'), 'order_date, currency, payment_method, category, country'),
    (ref('dim_calendar'), 'calendar_date'),
    (ref('dim_holiday'), 'country_code, holiday_date, holiday_name'),
    (ref('dim_product_history'), 'product_sk, valid_from'),
    (ref('error_analysis'), 'error_date, service, error_code'),
    (ref('fact_order_price'), 'order_sk'),
    (ref('fct_daily_user_metrics'), 'activity_date, event_type'),
    (ref('hourly_clients'), 'hour, browser, os'),
    (ref('hourly_product_views'), 'hour, product_sk'),
    (ref('product_performance'), 'product_sk, currency'),
    (ref('search_clicks'), 'search_sk'),
    (ref('search_terms'), 'search_date, query'),
    (ref('store_performance'), 'country_code, country_name, currency'),
    (ref('top_countries'), 'country_code, country_name'),
    (ref('top_products_today'), 'product_sk'),
    (ref('top_referrers'), 'referrer_domain'),
    (ref('traffic_sources'), 'session_date, referrer_domain, utm_source, utm_medium, utm_campaign'),
    (ref('weekly_retention'), 'cohort_week, weeks_since'),
    (ref('user_contact'), 'user_sk'),
] %}

{% for view, columns in grains %}
    {{ 'union all' if not loop.first }}
    select
        '{{ view.identifier }}' as in_view,
        count(*) as groups_with_more_than_one_row
    from (
        select {{ columns }} from {{ view }}
        group by {{ columns }}
        having count(*) > 1
    ) as repeated
    having count(*) > 0
{% endfor %}
