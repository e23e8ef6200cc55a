"""The Iceberg table of the lake: its name, DDL and properties, derived from `loglake.columns`."""

import json
from collections.abc import Mapping

import pyarrow as pa

from loglake.columns import LAKE_COLUMNS
from loglake.lake_metadata import CATALOG, FULL_NAME, NAMESPACE, TABLE, path_of
from loglake.setting_groups import LakeSettings

#: What many import from here; the names are written in `lake_metadata`.
__all__ = [
    "CATALOG",
    "COMMIT_RETRIES",
    "EPOCH_MARKER",
    "FULL_NAME",
    "NAMESPACE",
    "TABLE",
    "create_table",
    "path_of",
    "reached",
    "reached_property",
    "spark_schema",
    "spark_type",
    "sql_properties",
    "table_path",
    "table_properties",
    "topic_id_property",
]

#: What Iceberg's streaming writer leaves in the snapshot of an epoch: the query's id. The stream goes on after the newest one.
EPOCH_MARKER = "spark.sql.streaming.queryId"
#: The stream commits every few seconds. With Iceberg's four retries maintenance and erasure lose that race on a machine that is busy.
COMMIT_RETRIES = {"commit.retry.num-retries": "30", "commit.retry.max-wait-ms": "5000"}


def spark_type(arrow: pa.DataType) -> str:
    """The Spark SQL type of an Arrow type used in the lake."""
    if pa.types.is_decimal(arrow):
        return f"decimal({arrow.precision},{arrow.scale})"
    if pa.types.is_list(arrow):
        return f"array<{spark_type(arrow.value_type)}>"
    if pa.types.is_struct(arrow):
        return f"struct<{', '.join(f'{field.name}: {spark_type(field.type)}' for field in arrow)}>"
    names = {pa.string(): "string", pa.int32(): "int", pa.int64(): "bigint", pa.binary(): "binary"}
    return names.get(arrow, "timestamp")


def topic_id_property(topic: str) -> str:
    """The table property that remembers which incarnation of a topic the table was filled from."""
    return f"loglake.topic-id.{topic}"


def reached_property(topic: str) -> str:
    """The table property that remembers how far the lake had come when records were taken out of it: JSON, partition → last offset."""
    return f"loglake.reached.{topic}"


def reached(value: str | None) -> dict[int, int]:
    """What that property says; empty when it is not set."""
    return {int(partition): last for partition, last in json.loads(value or "{}").items()}


def table_path(config: LakeSettings) -> str:
    """The bronze table's folder on HDFS."""
    return f"{config.path}/{NAMESPACE}/{TABLE}"


def spark_schema() -> str:
    """The lake's columns as a Spark DDL string, in order."""
    return ", ".join(f"`{column.name}` {spark_type(column.arrow)}" for column in LAKE_COLUMNS)


def quoted(description: str) -> str:
    """A text as a literal of Spark SQL."""
    return "'" + description.replace("'", "\\'") + "'"


def create_table(config: LakeSettings) -> str:
    """CREATE TABLE IF NOT EXISTS for the bronze table: append-only, partitioned by the day Kafka received the record."""
    columns = ",\n  ".join(f"`{c.name}` {spark_type(c.arrow)} COMMENT {quoted(c.description)}" for c in LAKE_COLUMNS)
    properties = sql_properties(table_properties(config))
    return (
        f"CREATE TABLE IF NOT EXISTS {FULL_NAME} (\n  {columns}\n) USING iceberg\n"
        f"PARTITIONED BY (days(kafka_timestamp))\nTBLPROPERTIES ({properties})"
    )


def sql_properties(properties: Mapping[str, str]) -> str:
    """Table properties as the list that Spark SQL's TBLPROPERTIES wants."""
    return ", ".join(f"'{key}'='{value}'" for key, value in properties.items())


def table_properties(config: LakeSettings) -> dict[str, str]:
    """Iceberg table properties. No shuffle before a write; statistics only for the columns that plans and books use."""
    exact = ("partition", "offset", "kafka_timestamp", "event_ts", "reject_reason")
    return {
        "format-version": "2",
        # An append is no conflict for a delete, which goes by the records' positions: `loglake forget` while the stream runs.
        "write.delete.isolation-level": "snapshot",
        **COMMIT_RETRIES,
        "write.parquet.compression-codec": config.compression,
        "write.target-file-size-bytes": str(config.target_file_mib * 1024 * 1024),
        "write.distribution-mode": "none",
        "write.spark.fanout.enabled": "true",
        "write.metadata.delete-after-commit.enabled": "true",
        "write.metadata.previous-versions-max": "50",
        "history.expire.min-snapshots-to-keep": "200",
        "write.metadata.metrics.default": "none",
        **{f"write.metadata.metrics.column.{name}": "full" if name != "reject_reason" else "counts" for name in exact},
    }
