"""Backfill of the lake from Kafka: the records of a range of time that it lacks. Run as `python -m consumers.backfill --from T --to T`.

The stream writes only what comes after the last record that the lake has held of a partition, a backfill only what lies before it, so
they never write the same; two backfills exclude each other. A record is missing when neither the lake has its offset nor an erasure or
the lake's retention accounts for it. The missing ones are one append, so that a killed backfill has written all of them or none.
"""

import json
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from consumers.lake_stream import bronze_rows
from loglake import clients, erasure, lake, resolutions, retirement, tables, timerange, topic
from loglake.erasure import Offsets
from loglake.errors import BadInputError, ServiceError
from loglake.jobs import Result, report
from loglake.retirement import Retired
from loglake.settings import settings
from loglake.spark import batch_session
from loglake.topic import Bounds

log = logging.getLogger("consumers.backfill")

#: Offsets of a partition, from the first up to and without the second.
Gap = tuple[int, int, int]


@dataclass(frozen=True)
class Backfilled(Result):
    """How many records of the range Kafka still has before the end of the lake, and how many of them the lake lacked."""

    records: int
    appended: int
    dry_run: bool
    seconds: float

    @property
    def note(self) -> str:
        of = f"{self.records:,} records of the range in Kafka"
        if not self.appended:
            return f"backfill from Kafka: the lake lacks none of {of}, {self.seconds:.1f} s"
        if self.dry_run:
            return f"dry run: of {of} the lake lacks {self.appended:,}, {self.seconds:.1f} s"
        what = f"of {of} the lake lacked {self.appended:,}, and has them now"
        return f"backfill from Kafka: {what}; the next load brings them, {self.seconds:.1f} s"


def run(start: datetime, end: datetime, *, dry_run: bool = False) -> Backfilled:
    """Append what the lake lacks of the records that Kafka received from `start` on and before `end`."""
    began, name = time.monotonic(), settings().kafka.topic
    with clients.postgres("loader") as connection:
        resolutions.only_repair(connection)
        bronze = lake.table()
        if bronze is None:
            raise BadInputError("the lake is empty: the stream brings everything, start it with `loglake up`")
        accounted = merged(lake.offsets(bronze), erasure.offsets(connection))
        wanted = below(topic.received_between(name, start, end), accounted, name)
        retired = retirement.by_partition(connection, unfinished=True)
        missing = [
            gap
            for number, bounds in wanted.items()
            for gap in without(gaps(number, bounds, accounted[name, number]), retired.get((name, number), Retired(0, ())).ranges)
        ]
        lacking = sum(end - start for _, start, end in missing)
        if missing and not dry_run:
            with batch_session("loglake-backfill") as spark:
                append(spark, name, missing, lacking)
    return Backfilled(sum(bounds.end - bounds.first for bounds in wanted.values()), lacking, dry_run, time.monotonic() - began)


def merged(held: Offsets, erased: Offsets) -> Offsets:
    """The offsets that need not be brought: the lake has them, or they were erased."""
    none = np.array([], dtype=np.int64)
    return {place: np.union1d(held.get(place, none), erased.get(place, none)) for place in held.keys() | erased.keys()}


def below(wanted: dict[int, Bounds], accounted: Offsets, name: str) -> dict[int, Bounds]:
    """Of the wanted offsets those before the last that the lake has held of each partition: the stream brings the others."""
    found = {}
    for number, bounds in wanted.items():
        if (name, number) in accounted:
            end = min(bounds.end, int(accounted[name, number][-1]))
            if end > bounds.first:
                found[number] = Bounds(bounds.first, end)
    return found


def gaps(number: int, bounds: Bounds, accounted: np.ndarray) -> list[Gap]:
    """The runs of offsets within the bounds that are not accounted for (sorted, without repeats)."""
    inside = accounted[(accounted >= bounds.first) & (accounted < bounds.end)]
    edges = np.concatenate([[bounds.first - 1], inside, [bounds.end]])
    return [(number, int(before) + 1, int(after)) for before, after in pairwise(edges) if after - before > 1]


def without(found: list[Gap], ranges: Iterable[tuple[int, int]]) -> list[Gap]:
    """What is left of the gaps outside of these ranges of offsets (first and last)."""
    for first, last in ranges:
        found = [
            (number, start, end)
            for number, gap_start, gap_end in found
            for start, end in ((gap_start, min(gap_end, first)), (max(gap_start, last + 1), gap_end))
            if start < end
        ]
    return found


def append(spark: SparkSession, name: str, missing: list[Gap], lacking: int) -> None:
    """Append these records as bronze rows in one commit; ServiceError, and nothing is appended, when Kafka does not give all of them."""
    rows = bronze_rows(records(spark, name, missing)).cache()
    found = rows.count()
    if found != lacking:
        raise ServiceError(f"Kafka gave {found} of {lacking} missing records, the others have expired: name a range that begins later")
    rows.writeTo(tables.FULL_NAME).append()


def records(spark: SparkSession, name: str, missing: list[Gap]) -> DataFrame:
    """What Kafka has at these offsets."""
    first, last = dict[str, int](), dict[str, int]()
    for number, start, end in missing:
        first[str(number)] = min(start, first.get(str(number), start))
        last[str(number)] = max(end, last.get(str(number), end))
    source = spark.read.format("kafka").options(
        **clients.kafka_for_spark(), assign=json.dumps({name: [int(number) for number in first]}),
        startingOffsets=json.dumps({name: first}), endingOffsets=json.dumps({name: last}), failOnDataLoss="true",
    )  # fmt: skip
    runs = spark.createDataFrame(missing, "number int, first bigint, beyond bigint")
    is_missing = (F.col("partition") == F.col("number")) & (F.col("offset") >= F.col("first")) & (F.col("offset") < F.col("beyond"))
    return source.load().join(F.broadcast(runs), on=is_missing, how="left_semi")


def main() -> None:
    arguments = timerange.parser("Append to the lake what it lacks of a range of time, from Kafka.", required=True).parse_args()
    report(log, lambda: run(*timerange.parse_closed(arguments.start, arguments.end), dry_run=arguments.dry_run).as_json())


if __name__ == "__main__":
    main()
