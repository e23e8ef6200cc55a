"""The streams out of Kafka: `lake_stream` into the Iceberg table."""
