"""dbt on one large load: how much of the time is SQL, which models take it, and what a run with nothing new costs.

`raw` is filled by the stream's decoder and the load's own projection, COPY and merge, without Kafka, HDFS and Spark between.
"""

import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pyarrow as pa

from bench.tenant import tenant_warehouse
from consumers.bronze import KAFKA_COLUMNS, to_bronze
from loglake import clients, models
from loglake.columns import POSITION
from loglake.settings import settings
from producers.flaws import Flaws
from producers.generate import Plan, records, schedule
from producers.pools import load as load_pools
from producers.record import Record
from spark_jobs.copy_files import Staged, copy_batches, copy_columns, project
from spark_jobs.merge import merge, only_loader

Tell = Callable[[str], None]
#: The last moment of the generated events (Unix seconds): any fixed time in the past.
_NOW = 1_750_000_000.0
_BATCH_ROWS = 20_000
_TABLE = "bench_model"


@dataclass(frozen=True)
class Statement:
    """One statement as dbt reports it, from sending to answer (seconds since the epoch), and the id of its node ('' for a hook)."""

    node: str
    began: float
    ended: float


@dataclass(frozen=True)
class Node:
    """A model, snapshot or test: seconds that dbt spent on it, and those of its SQL; rows it wrote (failing ones of a test)."""

    kind: str
    name: str
    seconds: float
    sql: float
    rows: int | None


@dataclass(frozen=True)
class Run:
    """A `dbt build`, its start included: `wall` seconds, during `sql` of which Postgres worked on at least one statement."""

    wall: float
    sql: float
    statements: int
    nodes: tuple[Node, ...]

    @property
    def ratio(self) -> float:
        return round(self.sql / self.wall, 2)


@dataclass(frozen=True)
class Report:
    """The build of one load of so many rows into empty marts, and the build after it, which finds nothing new."""

    rows: int
    load: Run
    nothing: Run


def measure(events: int, tell: Tell) -> Report:
    """Fill a warehouse of its own with one load, build twice."""
    with tenant_warehouse():
        began = time.perf_counter()
        rows = fill(events)
        tell(f"{rows:,} rows in raw after {time.perf_counter() - began:.0f} s")
        models.run_dbt(["parse"])  # so that neither build pays for a first parse, as no run of a warehouse in use does
        load = _build()
        tell(f"build of one load: {load.wall:.1f} s")
        return Report(rows, load, _build())


def fill(events: int, now: float = _NOW, start: datetime | None = None) -> int:
    """Generated events up to `now` (Unix seconds) as load 1 of an empty warehouse; the rows inserted. Without a start: of a day at most."""
    staged = Staged(_TABLE)
    plan = Plan(count=events, seed=7, start=start, flaws=Flaws(late=0.02, resent=0.02, malformed=0.01))
    copy_batches(clients.postgres_uri("loader"), "stage", _TABLE, _staged(plan, now, staged))
    manifest = {"load_id": 1, "snapshot_from": None, "snapshot_to": 1, "started_at": datetime.now(UTC), "files_read": 1}
    with only_loader(settings().load.lock_timeout_seconds) as connection:
        return merge(connection, [staged], manifest).rows_inserted


def _staged(plan: Plan, now: float, staged: Staged) -> Iterator[pa.RecordBatch]:
    """The records as a task of the load copies them."""
    received, max_bytes = datetime.fromtimestamp(now, UTC), settings().stream.max_payload_bytes
    first = 0
    for batch in batches(plan, now):
        bronze = to_bronze(as_kafka_gives(batch, first, received), max_bytes, received)
        ids = {name: number for number, name in enumerate(bronze.schema.names)}
        numbered = [field.with_metadata({b"PARQUET:field_id": str(ids[field.name]).encode()}) for field in bronze.schema]
        projected = project(pa.RecordBatch.from_arrays(bronze.columns, schema=pa.schema(numbered)), copy_columns(), ids)
        staged.count(projected)
        first += len(batch)
        yield projected


def batches(plan: Plan, now: float) -> Iterator[list[Record]]:
    """The records of a plan that ends at `now` (Unix seconds), as they are generated."""
    pool = load_pools(settings().runtime.runtime_dir / "pools", plan.pools)
    source = records(plan, schedule(plan, now), pool, now, lambda moments: moments)
    while batch := list(islice(source, _BATCH_ROWS)):
        yield batch


def as_kafka_gives(batch: list[Record], first: int, received: datetime) -> pa.RecordBatch:
    """The records as Kafka has them from an offset on, received from a moment on, a millisecond after each other."""
    values = [
        ["bench"] * len(batch),
        [0] * len(batch),
        range(first, first + len(batch)),
        [received + timedelta(milliseconds=first + number) for number in range(len(batch))],
    ]
    arrays = [pa.array(column, place.arrow) for column, place in zip(values, POSITION, strict=True)]
    return pa.RecordBatch.from_arrays([*arrays, pa.array([record.value for record in batch], pa.binary())], names=list(KAFKA_COLUMNS))


def _build() -> Run:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run = models.run_dbt(["build", "--log-path", folder, "--log-format-file", "json"])
        wall = time.perf_counter() - began
        with (Path(folder) / "dbt.log").open(encoding="utf-8") as lines:
            statements = list(read_statements(lines))
    spent: defaultdict[tuple[str, str], float] = defaultdict(float)
    for statement in statements:
        spent[models.kind_and_name(statement.node)] += statement.ended - statement.began
    nodes = [Node(node.kind, node.name, round(node.seconds, 2), round(spent[node.kind, node.name], 2), node.rows) for node in run.nodes]
    nodes.sort(key=lambda node: node.seconds, reverse=True)
    return Run(round(wall, 2), round(covered(statements), 2), len(statements), tuple(nodes))


def read_statements(lines: Iterable[str]) -> Iterator[Statement]:
    """The statements in a JSON log of dbt's (its event SQLQueryStatus comes with each answer)."""
    for line in lines:
        entry = json.loads(line)
        if entry["info"]["name"] == "SQLQueryStatus":
            ended = datetime.fromisoformat(entry["info"]["ts"]).timestamp()
            yield Statement(entry["data"].get("node_info", {}).get("unique_id", ""), ended - entry["data"]["elapsed"], ended)


def covered(statements: Iterable[Statement]) -> float:
    """Seconds during which at least one of the statements ran: two at once count once."""
    total, until = 0.0, float("-inf")
    for statement in sorted(statements, key=lambda statement: statement.began):
        total += max(0.0, statement.ended - max(statement.began, until))
        until = max(until, statement.ended)
    return total
