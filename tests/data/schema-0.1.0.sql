-- The warehouse's schema of the first release, 0.1.0: pg_dump --schema-only (18.4) of a warehouse that it made, without comments and
-- psql's own commands. Frozen: tests/integration/warehouse/test_upgrades.py upgrades it.

SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
CREATE SCHEMA live;
ALTER SCHEMA live OWNER TO loader;
CREATE SCHEMA marts;
ALTER SCHEMA marts OWNER TO dbt;
CREATE SCHEMA ops;
ALTER SCHEMA ops OWNER TO loader;
CREATE SCHEMA raw;
ALTER SCHEMA raw OWNER TO loader;
CREATE SCHEMA restricted;
ALTER SCHEMA restricted OWNER TO dbt;
CREATE SCHEMA snapshots;
ALTER SCHEMA snapshots OWNER TO dbt;
CREATE SCHEMA stage;
ALTER SCHEMA stage OWNER TO loader;
CREATE SCHEMA staging;
ALTER SCHEMA staging OWNER TO dbt;
CREATE SCHEMA vault;
ALTER SCHEMA vault OWNER TO postgres;
CREATE FUNCTION vault.pseudonym(value text) RETURNS text
    LANGUAGE sql STABLE STRICT SECURITY DEFINER PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select encode(sha256(outer_pad || sha256(inner_pad || convert_to(lower(trim(value)), 'UTF8'))), 'hex') from vault.pseudonym_key
$$;
ALTER FUNCTION vault.pseudonym(value text) OWNER TO postgres;
CREATE TABLE ops.erased_record (
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    erasure_id bigint NOT NULL
);
ALTER TABLE ops.erased_record OWNER TO loader;
COMMENT ON TABLE ops.erased_record IS 'One row per record that was erased from the lake: its position in Kafka';
CREATE TABLE ops.erasure (
    erasure_id bigint NOT NULL,
    subject text NOT NULL,
    newest_record timestamp with time zone NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone
);
ALTER TABLE ops.erasure OWNER TO loader;
COMMENT ON TABLE ops.erasure IS 'One row per `loglake forget` that found something; finished_at is null until nothing is left';
COMMENT ON COLUMN ops.erasure.subject IS 'vault.pseudonym of the user id';
ALTER TABLE ops.erasure ALTER COLUMN erasure_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME ops.erasure_erasure_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE ops.load_manifest (
    load_id bigint NOT NULL,
    snapshot_from bigint,
    snapshot_to bigint NOT NULL,
    started_at timestamp with time zone NOT NULL,
    committed_at timestamp with time zone NOT NULL,
    files_read bigint NOT NULL,
    rows_read bigint NOT NULL,
    rows_inserted bigint NOT NULL,
    rows_duplicate bigint NOT NULL,
    rows_rejected bigint NOT NULL,
    CONSTRAINT books_balance CHECK ((rows_read = ((rows_inserted + rows_duplicate) + rows_rejected)))
);
ALTER TABLE ops.load_manifest OWNER TO loader;
COMMENT ON TABLE ops.load_manifest IS 'One row per load, written in the same transaction as its data';
CREATE TABLE ops.stream_heartbeat (
    stream text NOT NULL,
    query_id text NOT NULL,
    run_id text NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    lag bigint NOT NULL
);
ALTER TABLE ops.stream_heartbeat OWNER TO loader;
COMMENT ON TABLE ops.stream_heartbeat IS 'When each stream last started, or finished a trigger, also an empty one';
CREATE TABLE ops.stream_progress (
    query_id text NOT NULL,
    batch_id bigint NOT NULL,
    run_id text NOT NULL,
    topic text NOT NULL,
    finished_at timestamp with time zone NOT NULL,
    duration_ms bigint NOT NULL,
    rows_read bigint NOT NULL,
    rows_rejected bigint NOT NULL,
    start_offsets jsonb,
    end_offsets jsonb NOT NULL,
    lag bigint NOT NULL,
    event_delay_seconds double precision
);
ALTER TABLE ops.stream_progress OWNER TO loader;
COMMENT ON TABLE ops.stream_progress IS 'One row per micro-batch of a stream that held records';
CREATE TABLE raw.log_events (
    event_id uuid NOT NULL,
    schema_version integer NOT NULL,
    event_type text NOT NULL,
    event_ts timestamp with time zone NOT NULL,
    sent_at timestamp with time zone NOT NULL,
    service text NOT NULL,
    level text NOT NULL,
    session_id text NOT NULL,
    user_id text,
    user_username text,
    user_email text,
    user_sex text,
    user_age integer,
    user_country text,
    user_city text,
    device_type text,
    device_os text,
    device_browser text,
    device_user_agent text,
    geo_country text,
    geo_city text,
    geo_ip text,
    page_url text,
    page_referrer text,
    page_utm_source text,
    page_utm_medium text,
    page_utm_campaign text,
    product_id text,
    product_name text,
    product_category text,
    product_subcategory text,
    product_brand text,
    product_description text,
    product_price numeric(12,2),
    product_stock integer,
    product_rating numeric(3,2),
    search_query text,
    search_result_count integer,
    order_id text,
    order_status text,
    order_payment_method text,
    order_currency text,
    order_items jsonb,
    order_amount numeric(12,2),
    error_code text,
    error_message text,
    status_code integer,
    latency_ms integer,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    kafka_timestamp timestamp with time zone NOT NULL,
    ingested_at timestamp with time zone NOT NULL,
    load_id bigint NOT NULL
)
PARTITION BY RANGE (event_id);
ALTER TABLE raw.log_events OWNER TO loader;
COMMENT ON COLUMN raw.log_events.event_id IS 'UUIDv7, lower case; set once and kept on resend';
COMMENT ON COLUMN raw.log_events.schema_version IS 'Version of this contract';
COMMENT ON COLUMN raw.log_events.event_type IS 'What happened';
COMMENT ON COLUMN raw.log_events.event_ts IS 'When it happened (UTC)';
COMMENT ON COLUMN raw.log_events.sent_at IS 'When the producer sent it (UTC)';
COMMENT ON COLUMN raw.log_events.service IS 'Service that logged it';
COMMENT ON COLUMN raw.log_events.level IS 'Log level';
COMMENT ON COLUMN raw.log_events.session_id IS 'Session it belongs to; the Kafka key';
COMMENT ON COLUMN raw.log_events.user_id IS 'Stable identifier of the user';
COMMENT ON COLUMN raw.log_events.user_username IS 'Name the user logs in with';
COMMENT ON COLUMN raw.log_events.user_email IS 'E-mail address, personal data';
COMMENT ON COLUMN raw.log_events.user_sex IS 'Sex as the user stated it';
COMMENT ON COLUMN raw.log_events.user_age IS 'Age in years';
COMMENT ON COLUMN raw.log_events.user_country IS 'Country of the user''s account';
COMMENT ON COLUMN raw.log_events.user_city IS 'City of the user''s account';
COMMENT ON COLUMN raw.log_events.device_type IS 'Kind of device: desktop, mobile, tablet, bot';
COMMENT ON COLUMN raw.log_events.device_os IS 'Operating system';
COMMENT ON COLUMN raw.log_events.device_browser IS 'Browser';
COMMENT ON COLUMN raw.log_events.device_user_agent IS 'User-Agent header, untouched';
COMMENT ON COLUMN raw.log_events.geo_country IS 'Country the request came from';
COMMENT ON COLUMN raw.log_events.geo_city IS 'City the request came from';
COMMENT ON COLUMN raw.log_events.geo_ip IS 'Client address, personal data';
COMMENT ON COLUMN raw.log_events.page_url IS 'Address of the page';
COMMENT ON COLUMN raw.log_events.page_referrer IS 'Address of the page before it';
COMMENT ON COLUMN raw.log_events.page_utm_source IS 'Campaign source';
COMMENT ON COLUMN raw.log_events.page_utm_medium IS 'Campaign medium';
COMMENT ON COLUMN raw.log_events.page_utm_campaign IS 'Campaign name';
COMMENT ON COLUMN raw.log_events.product_id IS 'Stable identifier of the product';
COMMENT ON COLUMN raw.log_events.product_name IS 'Name shown in the shop';
COMMENT ON COLUMN raw.log_events.product_category IS 'Top-level category';
COMMENT ON COLUMN raw.log_events.product_subcategory IS 'Category below it';
COMMENT ON COLUMN raw.log_events.product_brand IS 'Brand';
COMMENT ON COLUMN raw.log_events.product_description IS 'Description shown in the shop';
COMMENT ON COLUMN raw.log_events.product_price IS 'Unit price at the time of the event';
COMMENT ON COLUMN raw.log_events.product_stock IS 'Units in stock at the time of the event';
COMMENT ON COLUMN raw.log_events.product_rating IS 'Mean rating, 0 to 5';
COMMENT ON COLUMN raw.log_events.search_query IS 'What the user typed';
COMMENT ON COLUMN raw.log_events.search_result_count IS 'Number of results';
COMMENT ON COLUMN raw.log_events.order_id IS 'Stable identifier of the order';
COMMENT ON COLUMN raw.log_events.order_status IS 'State of the order after this event';
COMMENT ON COLUMN raw.log_events.order_payment_method IS 'How it is paid';
COMMENT ON COLUMN raw.log_events.order_currency IS 'ISO 4217 code';
COMMENT ON COLUMN raw.log_events.order_items IS 'Order lines, in the order''s own sequence';
COMMENT ON COLUMN raw.log_events.order_amount IS 'Sum of quantity x unit_price over the items';
COMMENT ON COLUMN raw.log_events.error_code IS 'Error code';
COMMENT ON COLUMN raw.log_events.error_message IS 'Error message';
COMMENT ON COLUMN raw.log_events.status_code IS 'HTTP status of the response';
COMMENT ON COLUMN raw.log_events.latency_ms IS 'Time to answer in milliseconds';
COMMENT ON COLUMN raw.log_events.topic IS 'Kafka topic of the record';
COMMENT ON COLUMN raw.log_events.partition IS 'Kafka partition of the record';
COMMENT ON COLUMN raw.log_events."offset" IS 'Kafka offset of the record';
COMMENT ON COLUMN raw.log_events.kafka_timestamp IS 'When the broker received the record (UTC)';
COMMENT ON COLUMN raw.log_events.ingested_at IS 'When the stream read the record (UTC)';
CREATE TABLE raw.log_events_default (
    event_id uuid CONSTRAINT log_events_event_id_not_null NOT NULL,
    schema_version integer CONSTRAINT log_events_schema_version_not_null NOT NULL,
    event_type text CONSTRAINT log_events_event_type_not_null NOT NULL,
    event_ts timestamp with time zone CONSTRAINT log_events_event_ts_not_null NOT NULL,
    sent_at timestamp with time zone CONSTRAINT log_events_sent_at_not_null NOT NULL,
    service text CONSTRAINT log_events_service_not_null NOT NULL,
    level text CONSTRAINT log_events_level_not_null NOT NULL,
    session_id text CONSTRAINT log_events_session_id_not_null NOT NULL,
    user_id text,
    user_username text,
    user_email text,
    user_sex text,
    user_age integer,
    user_country text,
    user_city text,
    device_type text,
    device_os text,
    device_browser text,
    device_user_agent text,
    geo_country text,
    geo_city text,
    geo_ip text,
    page_url text,
    page_referrer text,
    page_utm_source text,
    page_utm_medium text,
    page_utm_campaign text,
    product_id text,
    product_name text,
    product_category text,
    product_subcategory text,
    product_brand text,
    product_description text,
    product_price numeric(12,2),
    product_stock integer,
    product_rating numeric(3,2),
    search_query text,
    search_result_count integer,
    order_id text,
    order_status text,
    order_payment_method text,
    order_currency text,
    order_items jsonb,
    order_amount numeric(12,2),
    error_code text,
    error_message text,
    status_code integer,
    latency_ms integer,
    topic text CONSTRAINT log_events_topic_not_null NOT NULL,
    partition integer CONSTRAINT log_events_partition_not_null NOT NULL,
    "offset" bigint CONSTRAINT log_events_offset_not_null NOT NULL,
    kafka_timestamp timestamp with time zone CONSTRAINT log_events_kafka_timestamp_not_null NOT NULL,
    ingested_at timestamp with time zone CONSTRAINT log_events_ingested_at_not_null NOT NULL,
    load_id bigint CONSTRAINT log_events_load_id_not_null NOT NULL
);
ALTER TABLE raw.log_events_default OWNER TO loader;
CREATE TABLE raw.ref_country (
    spelling text NOT NULL,
    country_code text,
    country_name text NOT NULL,
    region text,
    continent text
);
ALTER TABLE raw.ref_country OWNER TO loader;
COMMENT ON TABLE raw.ref_country IS 'One row per value of geo_country: the country it means, by country-converter; code null when none';
CREATE TABLE raw.ref_domain (
    host text NOT NULL,
    domain text NOT NULL
);
ALTER TABLE raw.ref_domain OWNER TO loader;
COMMENT ON TABLE raw.ref_domain IS 'One row per host of a referrer: its registered domain, by the public suffix list';
CREATE TABLE raw.ref_holiday (
    country_code text NOT NULL,
    holiday_date date NOT NULL,
    name text NOT NULL
);
ALTER TABLE raw.ref_holiday OWNER TO loader;
COMMENT ON TABLE raw.ref_holiday IS 'One row per country of any event and nationwide public holiday, by the library holidays';
CREATE TABLE raw.ref_position (
    is_only boolean DEFAULT true NOT NULL,
    load_id bigint NOT NULL,
    committed_at timestamp with time zone NOT NULL,
    CONSTRAINT ref_position_is_only_check CHECK (is_only)
);
ALTER TABLE raw.ref_position OWNER TO loader;
COMMENT ON TABLE raw.ref_position IS 'The last load whose values are in the tables beside';
CREATE TABLE raw.ref_user_agent (
    user_agent_sha bytea NOT NULL,
    browser text NOT NULL,
    browser_version text,
    os text NOT NULL,
    os_version text,
    device text NOT NULL
);
ALTER TABLE raw.ref_user_agent OWNER TO loader;
COMMENT ON TABLE raw.ref_user_agent IS 'One row per user agent of any event, by the SHA-256 of its text: what ua-parser makes of it';
CREATE TABLE raw.rejected_events (
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    kafka_timestamp timestamp with time zone NOT NULL,
    ingested_at timestamp with time zone NOT NULL,
    reject_reason text NOT NULL,
    payload bytea,
    load_id bigint NOT NULL
);
ALTER TABLE raw.rejected_events OWNER TO loader;
CREATE TABLE vault.pseudonym_key (
    inner_pad bytea NOT NULL,
    outer_pad bytea NOT NULL
);
ALTER TABLE vault.pseudonym_key OWNER TO postgres;
ALTER TABLE ONLY raw.log_events ATTACH PARTITION raw.log_events_default DEFAULT;
ALTER TABLE ONLY ops.erased_record
    ADD CONSTRAINT erased_record_pkey PRIMARY KEY (topic, partition, "offset");
ALTER TABLE ONLY ops.erasure
    ADD CONSTRAINT erasure_pkey PRIMARY KEY (erasure_id);
ALTER TABLE ONLY ops.load_manifest
    ADD CONSTRAINT load_manifest_pkey PRIMARY KEY (load_id);
ALTER TABLE ONLY ops.stream_heartbeat
    ADD CONSTRAINT stream_heartbeat_pkey PRIMARY KEY (stream);
ALTER TABLE ONLY ops.stream_progress
    ADD CONSTRAINT stream_progress_pkey PRIMARY KEY (query_id, batch_id);
ALTER TABLE ONLY raw.log_events
    ADD CONSTRAINT log_events_pkey PRIMARY KEY (event_id);
ALTER TABLE ONLY raw.log_events_default
    ADD CONSTRAINT log_events_default_pkey PRIMARY KEY (event_id);
ALTER TABLE ONLY raw.ref_country
    ADD CONSTRAINT ref_country_pkey PRIMARY KEY (spelling);
ALTER TABLE ONLY raw.ref_domain
    ADD CONSTRAINT ref_domain_pkey PRIMARY KEY (host);
ALTER TABLE ONLY raw.ref_holiday
    ADD CONSTRAINT ref_holiday_pkey PRIMARY KEY (country_code, holiday_date);
ALTER TABLE ONLY raw.ref_position
    ADD CONSTRAINT ref_position_pkey PRIMARY KEY (is_only);
ALTER TABLE ONLY raw.ref_user_agent
    ADD CONSTRAINT ref_user_agent_pkey PRIMARY KEY (user_agent_sha);
ALTER TABLE ONLY raw.rejected_events
    ADD CONSTRAINT rejected_events_pkey PRIMARY KEY (topic, partition, "offset");
CREATE INDEX log_events_load_id ON ONLY raw.log_events USING btree (load_id);
CREATE INDEX log_events_default_load_id_idx ON raw.log_events_default USING btree (load_id);
CREATE INDEX log_events_order_id ON ONLY raw.log_events USING btree (order_id) WHERE (order_id IS NOT NULL);
CREATE INDEX log_events_default_order_id_idx ON raw.log_events_default USING btree (order_id) WHERE (order_id IS NOT NULL);
CREATE INDEX rejected_events_load_id ON raw.rejected_events USING btree (load_id);
ALTER INDEX raw.log_events_load_id ATTACH PARTITION raw.log_events_default_load_id_idx;
ALTER INDEX raw.log_events_order_id ATTACH PARTITION raw.log_events_default_order_id_idx;
ALTER INDEX raw.log_events_pkey ATTACH PARTITION raw.log_events_default_pkey;
ALTER TABLE ONLY ops.erased_record
    ADD CONSTRAINT erased_record_erasure_id_fkey FOREIGN KEY (erasure_id) REFERENCES ops.erasure(erasure_id);
GRANT USAGE ON SCHEMA live TO monitor;
GRANT USAGE ON SCHEMA marts TO monitor;
GRANT USAGE ON SCHEMA marts TO bi_reader;
GRANT USAGE ON SCHEMA ops TO dbt;
GRANT USAGE ON SCHEMA ops TO monitor;
GRANT USAGE ON SCHEMA raw TO dbt;
GRANT USAGE ON SCHEMA raw TO monitor;
GRANT USAGE ON SCHEMA snapshots TO monitor;
GRANT USAGE ON SCHEMA staging TO monitor;
GRANT USAGE ON SCHEMA vault TO dbt;
REVOKE ALL ON FUNCTION vault.pseudonym(value text) FROM PUBLIC;
GRANT ALL ON FUNCTION vault.pseudonym(value text) TO dbt;
GRANT SELECT ON TABLE ops.erased_record TO dbt;
GRANT SELECT ON TABLE ops.erased_record TO monitor;
GRANT SELECT ON TABLE ops.erasure TO dbt;
GRANT SELECT ON TABLE ops.erasure TO monitor;
GRANT SELECT ON TABLE ops.load_manifest TO dbt;
GRANT SELECT ON TABLE ops.load_manifest TO monitor;
GRANT SELECT ON TABLE ops.stream_heartbeat TO dbt;
GRANT SELECT ON TABLE ops.stream_heartbeat TO monitor;
GRANT SELECT ON TABLE ops.stream_progress TO dbt;
GRANT SELECT ON TABLE ops.stream_progress TO monitor;
GRANT SELECT ON TABLE raw.log_events TO dbt;
GRANT SELECT ON TABLE raw.log_events TO monitor;
GRANT SELECT ON TABLE raw.log_events_default TO dbt;
GRANT SELECT ON TABLE raw.log_events_default TO monitor;
GRANT SELECT ON TABLE raw.ref_country TO dbt;
GRANT SELECT ON TABLE raw.ref_country TO monitor;
GRANT SELECT ON TABLE raw.ref_domain TO dbt;
GRANT SELECT ON TABLE raw.ref_domain TO monitor;
GRANT SELECT ON TABLE raw.ref_holiday TO dbt;
GRANT SELECT ON TABLE raw.ref_holiday TO monitor;
GRANT SELECT ON TABLE raw.ref_position TO dbt;
GRANT SELECT ON TABLE raw.ref_position TO monitor;
GRANT SELECT ON TABLE raw.ref_user_agent TO dbt;
GRANT SELECT ON TABLE raw.ref_user_agent TO monitor;
GRANT SELECT ON TABLE raw.rejected_events TO dbt;
GRANT SELECT ON TABLE raw.rejected_events TO monitor;
ALTER DEFAULT PRIVILEGES FOR ROLE loader IN SCHEMA live GRANT SELECT ON TABLES TO monitor;
ALTER DEFAULT PRIVILEGES FOR ROLE dbt IN SCHEMA marts GRANT SELECT ON TABLES TO monitor;
ALTER DEFAULT PRIVILEGES FOR ROLE dbt IN SCHEMA marts GRANT SELECT ON TABLES TO bi_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE loader IN SCHEMA ops GRANT SELECT ON TABLES TO dbt;
ALTER DEFAULT PRIVILEGES FOR ROLE loader IN SCHEMA ops GRANT SELECT ON TABLES TO monitor;
ALTER DEFAULT PRIVILEGES FOR ROLE loader IN SCHEMA raw GRANT SELECT ON TABLES TO dbt;
ALTER DEFAULT PRIVILEGES FOR ROLE loader IN SCHEMA raw GRANT SELECT ON TABLES TO monitor;
ALTER DEFAULT PRIVILEGES FOR ROLE dbt IN SCHEMA snapshots GRANT SELECT ON TABLES TO monitor;
ALTER DEFAULT PRIVILEGES FOR ROLE dbt IN SCHEMA staging GRANT SELECT ON TABLES TO monitor;
