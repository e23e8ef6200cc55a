"""The rate of each stage on the same events, and what it is worth beside the plain alternative.

generate, publish (and a confluent-kafka producer), the stream (and the same transform as a batch into Parquet), the load
(and a raw binary COPY, and Spark's JDBC append), dbt.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import confluent_kafka
import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from bench.tenant import delete_topics, new_topic, tenant
from bench.timing import Measured, Series, ratio, rounds
from consumers import lake_stream
from loglake import clients, lake, models, tables
from loglake.columns import LAKE_COLUMNS
from loglake.settings import settings
from loglake.spark import session
from producers.flaws import Flaws
from producers.generate import Plan, records, schedule
from producers.pools import load as load_pools
from producers.publisher import Publisher
from producers.record import Record
from spark_jobs.copy_files import copy_columns, project, stage_columns
from spark_jobs.load import load
from spark_jobs.merge import only_loader

Tell = Callable[[str], None]
#: The last moment of the generated events (Unix seconds): any fixed time in the past.
_NOW = 1_750_000_000.0
_PEER_TOPIC = "loglake_bench_peer"
TARGETS = {"load ÷ raw COPY": 0.25, "load ÷ JDBC append": 1.5, "stream ÷ batch into Parquet": 0.6, "publish ÷ confluent-kafka": None}


@dataclass(frozen=True)
class Report:
    """Rates in units per second, ratios, and what was measured."""

    events: int
    rounds: int
    rates: dict[str, Any]
    ratios: dict[str, Any]


def measure(events: int, number: int, tell: Tell) -> Report:
    """Measure all stages on `events` generated events, `number` rounds each."""
    with tenant():
        sample = make_records(events)
        series = rounds(number, {"generate": Measured(lambda: len(make_records(events)))}, tell)
        config = settings().stream
        publishers = {
            "publish": Measured(lambda: publish(sample), lambda: _fresh(settings().kafka.topic)),
            "confluent-kafka": Measured(lambda: publish_as_peer(sample), lambda: _fresh(_PEER_TOPIC)),
        }
        series |= rounds(number, publishers, tell)
        spark = session("loglake-bench", config.cores, "1g", "1g")
        try:
            series |= _spark_rates(spark, sample, number, tell)
        finally:
            spark.stop()
        delete_topics(_PEER_TOPIC)
    pairs = {
        "load ÷ raw COPY": ("load", "raw COPY"),
        "load ÷ JDBC append": ("load", "JDBC append"),
        "stream ÷ batch into Parquet": ("stream", "batch into Parquet"),
        "publish ÷ confluent-kafka": ("publish", "confluent-kafka"),
    }
    ratios = {name: {**ratio(series, *pair), "target": TARGETS[name]} for name, pair in pairs.items()}
    return Report(events, number, {name: found.as_dict() for name, found in series.items()}, ratios)


def make_records(number: int) -> list[Record]:
    """Generated and encoded events of a fixed seed."""
    plan = Plan(count=number, seed=7, flaws=Flaws(late=0.02, resent=0.02, malformed=0.01))
    pool = load_pools(settings().runtime.runtime_dir / "pools", plan.pools)
    return list(records(plan, schedule(plan, _NOW), pool, _NOW, lambda moments: moments))


def publish(sample: list[Record]) -> int:
    """Send until everything is acknowledged."""
    with Publisher(settings().kafka.topic) as publisher:
        for record in sample:
            publisher.send(record)
    return publisher.stats.acknowledged


def publish_as_peer(sample: list[Record]) -> int:
    """The same with confluent-kafka (librdkafka) and the same guarantees: idempotent, acks=all, lz4, each delivery looked at."""
    options = {"bootstrap.servers": settings().kafka.brokers, "acks": "all", "enable.idempotence": True, "compression.type": "lz4"}
    producer = confluent_kafka.Producer({**options, "linger.ms": 20, "batch.size": 262_144, "queue.buffering.max.messages": 1_000_000})
    delivered: list[bool] = []
    for record in sample:
        producer.produce(_PEER_TOPIC, value=record.value, key=record.key, on_delivery=lambda error, _: delivered.append(error is None))
        producer.poll(0)
    producer.flush()
    return sum(delivered)


def _fresh(topic: str) -> None:
    delete_topics(topic)
    new_topic(topic)


def _spark_rates(spark: SparkSession, sample: list[Record], number: int, tell: Tell) -> dict[str, Series]:
    _fresh(settings().kafka.topic)
    publish(sample)
    spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {tables.CATALOG}.{tables.NAMESPACE}")
    into_files = {
        "stream": Measured(lambda: stream(spark), lambda: _empty_lake(spark)),
        "batch into Parquet": Measured(lambda: batch_into_parquet(spark), lambda: clients.webhdfs().delete(_parquet(), recursive=True)),
    }
    series = rounds(number, into_files, tell)
    rows = lake_rows()
    into_postgres = {
        "load": Measured(lambda: load_once(spark), _empty_warehouse),
        "raw COPY": Measured(lambda: raw_copy(rows), lambda: _empty_table("bench_copy")),
        "JDBC append": Measured(lambda: jdbc_append(spark), lambda: _empty_table("bench_jdbc")),
    }
    series |= rounds(number, into_postgres, tell)
    return series | rounds(number, {"dbt": Measured(dbt_afresh)}, tell)


def _empty_lake(spark: SparkSession) -> None:
    spark.sql(f"DROP TABLE IF EXISTS {tables.FULL_NAME} PURGE")
    spark.sql(tables.create_table(settings().lake))
    clients.webhdfs().delete(settings().lake.checkpoints, recursive=True)


def _empty_warehouse() -> None:
    with clients.postgres("loader") as connection:
        connection.execute("truncate raw.log_events, raw.rejected_events, ops.load_manifest")


def _empty_table(name: str) -> None:
    with clients.postgres("loader") as connection:
        connection.execute(f"drop table if exists stage.{name}")
        connection.execute(f"create table stage.{name} ({stage_columns()})")


def _parquet() -> str:
    return f"{settings().lake.path}/parquet"


def stream(spark: SparkSession) -> int:
    """The lake stream over the whole topic into an empty table, from the start of the query to its end."""
    rows = lake_stream.records(spark, "earliest")
    lake_stream.into_lake(rows).trigger(availableNow=True).toTable(tables.FULL_NAME).awaitTermination()
    return _rows_in_lake()


def _rows_in_lake() -> int:
    table = lake.table()
    return lake.total_records(table) if table else 0


def batch_into_parquet(spark: SparkSession) -> int:
    """The same records through the same transform, as a batch into plain Parquet on HDFS."""
    config = settings()
    source = spark.read.format("kafka").options(**clients.kafka_for_spark(), subscribe=config.kafka.topic).load()
    target = config.hdfs.uri + _parquet()
    lake_stream.bronze_rows(source).write.option("compression", config.lake.compression).parquet(target)
    return _rows_in_lake()


def lake_rows() -> pa.Table:
    """The lake's rows in memory, as the load stages them."""
    bronze = lake.table()
    if bronze is None:
        raise LookupError("the stream made no table")
    ids = {field.name: field.field_id for field in bronze.schema().fields}
    names = tuple(column.name for column in LAKE_COLUMNS)
    batches = [
        project(batch, copy_columns(), ids) for file in lake.data_files(bronze) for batch in lake.read_columns(file, names).to_batches()
    ]
    return pa.Table.from_batches(batches)


def load_once(spark: SparkSession) -> int:
    """The whole load of the lake into an empty warehouse: staging, deduplication, manifest."""
    with only_loader(settings().load.lock_timeout_seconds) as connection:
        return load(spark, connection).rows_read


def raw_copy(rows: pa.Table) -> int:
    """The ceiling: the same rows from memory, by one binary COPY into a table without index or key."""
    with adbc.connect(clients.postgres_uri("loader")) as connection, connection.cursor() as cursor:
        copied: int = cursor.adbc_ingest("bench_copy", rows.to_reader(16_384), mode="append", db_schema_name="stage")
        connection.commit()
    return copied


def jdbc_append(spark: SparkSession) -> int:
    """What most projects do: Spark's JDBC append with batched rewrites, no deduplication and no manifest."""
    config = settings().postgres
    frame = spark.table(tables.FULL_NAME).withColumn("order_items", F.to_json("order_items"))
    frame.write.mode("append").format("jdbc").options(
        url=config.jdbc_url(config.database) + "?reWriteBatchedInserts=true&stringtype=unspecified",
        driver="org.postgresql.Driver",
        dbtable="stage.bench_jdbc",
        user="loader",
        password=config.password("loader"),
        batchsize="10000",
    ).save()
    with clients.postgres("loader") as connection:
        copied: int = connection.execute("select count(*) from stage.bench_jdbc").fetchall()[0][0]
    return copied


def dbt_afresh() -> int:
    """Snapshot and marts from what the last load left, made anew, with the tests of a ten-minute run."""
    models.run_dbt(["build", "--full-refresh"])
    with clients.postgres("dbt") as connection:
        made: int = connection.execute("select count(*) from marts.fact_event").fetchall()[0][0]
    return made
