"""The streams out of Kafka: `lake_stream` into the Iceberg table, `live_stream` into the windows of the last hours in Postgres."""
