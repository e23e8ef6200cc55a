"""A lake table that was made for an older contract, brought up to date and written to: what happened, as JSON on the last line.

A process of its own (`python -m tests.oldercontract EVENTS`), since Spark's gateway leaves sockets open in the one that has used it.
"""

import json
import re
import sys
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from consumers import lake_columns, lake_stream
from loglake import clients, tables
from loglake.settings import settings
from loglake.spark import batch_session
from loglake.topic import bounds
from spark_jobs.copy_files import CopyTask, copy_files

NAME = f"{tables.CATALOG}.{tables.NAMESPACE}.older_contract"
#: In the middle and at the end of the event's columns: what the older contract did not have; nor prices in the lines of an order.
GONE = ("user_age", "latency_ms")
_LOADED = """
select count(*), count(user_age), count(latency_ms), count(*) filter (where order_items like '%unit_price%'),
       count(order_id), count(user_username)
from stage.older_contract
"""


def main(events: int) -> None:
    checkpoint = f"{settings().lake.checkpoints}/older_contract"
    topic = settings().kafka.topic
    # Where the test's own events begin, or a little before: the topic may hold many more.
    starting = json.dumps({topic: {number: max(held.first, held.end - events) for number, held in bounds(topic).items()}})
    with batch_session("older-contract") as spark:
        spark.sql(older_ddl())
        older_rows(spark, starting)
        before = files(spark)
        added = lake_columns.add_missing(spark, NAME)
        untouched = files(spark) == before
        writer = lake_stream.into_lake(lake_stream.records(spark, starting))
        writer = writer.option("checkpointLocation", settings().hdfs.uri + checkpoint)
        writer.trigger(availableNow=True).toTable(NAME).awaitTermination()
        after = files(spark)
        held, new_table = spark.table(NAME), spark.table(tables.FULL_NAME)
        result = {
            "added": [(addition.path, addition.type, addition.after) for addition in added],
            "untouched": untouched,
            "kept": before.items() <= after.items(),
            "as_new": held.schema.json() == new_table.schema.json(),
            "rows": [sum(before.values()), held.count()],
            "old": loaded(spark, list(before)),
            "new": loaded(spark, [path for path in after if path not in before]),
            "again": len(lake_columns.add_missing(spark, NAME)),
        }
        spark.sql(f"DROP TABLE {NAME} PURGE")
    clients.webhdfs().delete(checkpoint, recursive=True)
    print(json.dumps(result))  # noqa: T201


def older_ddl() -> str:
    """The table's DDL as the older contract had it."""
    lines = [line for line in tables.create_table(settings().lake).splitlines() if not re.match(rf"  `({'|'.join(GONE)})`", line)]
    return "\n".join(lines).replace(tables.FULL_NAME, NAME).replace(", unit_price: decimal(12,2)", "")


def older_rows(spark: SparkSession, starting: str) -> None:
    """Fill the table with what is in the topic, as the older contract's stream would have."""
    source = spark.read.format("kafka").options(
        **clients.kafka_for_spark(), subscribe=settings().kafka.topic, startingOffsets=starting, endingOffsets="latest"
    )
    rows = lake_stream.bronze_rows(source.load()).drop(*GONE)
    without_price = "transform(order_items, item -> named_struct('product_id', item.product_id, 'quantity', item.quantity))"
    rows.withColumn("order_items", F.expr(without_price)).writeTo(NAME).append()


def files(spark: SparkSession) -> dict[str, int]:
    """The table's data files, and the rows of each."""
    return {row["file_path"]: row["record_count"] for row in spark.table(f"{NAME}.files").collect()}


def loaded(spark: SparkSession, paths: list[str]) -> tuple[Any, ...]:
    """What a task of the load makes of these files: rows; those with an age, a latency, an order's prices; orders and names."""
    jvm: Any = spark.sparkContext._jvm
    schema = jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(spark._jsparkSession, NAME).schema()
    ids = {field.name(): field.fieldId() for field in schema.columns()}
    uri = clients.postgres_uri("loader")
    copy_files(CopyTask("stage", "older_contract", tuple(map(tables.path_of, paths)), ids, settings().hdfs, uri))
    with clients.postgres("loader") as connection:
        found = connection.execute(_LOADED.encode()).fetchall()[0]
        connection.execute("drop table stage.older_contract")
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]))
