"""What a Spark task of the load does: read its Parquet files from HDFS natively and COPY their rows into a table of its own.

The row → Arrow step of a Spark scan is the brake of a load (docs/benchmarks.md), so the tasks are given file names and
the data never leaves Arrow. Columns are found by Iceberg's field ids: a renamed or added column is read as it should be.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import adbc_driver_postgresql.dbapi as adbc
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from loglake import clients
from loglake.columns import LAKE_COLUMNS, postgres_type
from loglake.setting_groups import HdfsSettings

_BATCH_ROWS = 16_384
_FIELD_ID = b"PARQUET:field_id"


@dataclass(frozen=True)
class CopyTask:
    """One task: the files it reads, the table it fills, and how it reaches HDFS and Postgres.

    `received`: of the files only the rows that Kafka received from the first moment on and before the second.
    """

    schema: str
    table: str
    paths: tuple[str, ...]
    field_ids: dict[str, int]
    hdfs: HdfsSettings
    postgres_uri: str
    received: tuple[datetime, datetime] | None = None


@dataclass
class Staged:
    """What a task copied into its staging table: rows with and without a reject reason, and the first 8 hex digits of their event ids.

    `left_out` are rows of its files that were not asked for.

    Counted on the way, where the columns are in memory anyway, so that the merge does not scan the tables for it.
    """

    table: str
    good: int = 0
    rejected: int = 0
    left_out: int = 0
    id_prefixes: set[str] = dataclasses.field(default_factory=set)

    def count(self, batch: pa.RecordBatch) -> None:
        """Add a batch with the columns `event_id` and `reject_reason`."""
        good = batch.column("reject_reason").null_count
        self.good += good
        self.rejected += batch.num_rows - good
        self.id_prefixes |= set(pc.unique(pc.utf8_slice_codeunits(batch.column("event_id"), 0, 8).drop_null()).to_pylist())


def stage_columns() -> str:
    """The column list of a staging table: the lake's columns, nested ones as JSON text."""
    return ", ".join(f'"{column.name}" {postgres_type(_staged(column.arrow))}' for column in LAKE_COLUMNS)


def _staged(arrow: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_list(arrow) else arrow


def copy_columns() -> pa.Schema:
    """The Arrow schema of what is copied: the lake's columns, nested ones as JSON text."""
    return pa.schema([pa.field(column.name, _staged(column.arrow)) for column in LAKE_COLUMNS])


def copy_files(task: CopyTask) -> Staged:
    """Fill the task's staging table in one transaction, replacing what an earlier try of the task left."""
    staged = Staged(task.table)
    copy_batches(task.postgres_uri, task.schema, task.table, _batches(task, copy_columns(), staged))
    return staged


def copy_batches(postgres_uri: str, schema: str, table: str, batches: Iterable[pa.RecordBatch]) -> None:
    """COPY batches of `copy_columns` into a new staging table, in one transaction."""
    with adbc.connect(postgres_uri) as connection, connection.cursor() as cursor:
        cursor.execute(f'DROP TABLE IF EXISTS "{schema}"."{table}"')
        cursor.execute(f'CREATE UNLOGGED TABLE "{schema}"."{table}" ({stage_columns()})')
        reader = pa.RecordBatchReader.from_batches(copy_columns(), batches)
        cursor.adbc_ingest(table, reader, mode="append", db_schema_name=schema)
        connection.commit()


def _batches(task: CopyTask, schema: pa.Schema, staged: Staged) -> Iterator[pa.RecordBatch]:
    client = clients.webhdfs(task.hdfs)
    for path in task.paths:
        with client.read(path) as reader:
            content = pa.py_buffer(reader.read())
        for batch in pq.ParquetFile(pa.BufferReader(content)).iter_batches(_BATCH_ROWS):
            projected = project(batch, schema, task.field_ids)
            if task.received is not None:
                projected = received_within(projected, task.received)
                staged.left_out += batch.num_rows - projected.num_rows
            staged.count(projected)
            yield projected


def project(batch: pa.RecordBatch, schema: pa.Schema, field_ids: dict[str, int]) -> pa.RecordBatch:
    """The batch of a data file as `schema`: columns by field id, absent ones null, lists as JSON text.

    A column that is new in the contract may be absent from the lake's table too (`field_ids`): the stream adds it when it starts.
    """
    position: dict[int | None, int] = {int(field.metadata[_FIELD_ID]): index for index, field in enumerate(batch.schema)}
    arrays = []
    for field in schema:
        index = position.get(field_ids.get(field.name))
        if index is None:
            arrays.append(pa.nulls(batch.num_rows, field.type))
            continue
        array = batch.column(index)
        arrays.append(as_json(array) if pa.types.is_list(array.type) else array.cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def received_within(batch: pa.RecordBatch, received: tuple[datetime, datetime]) -> pa.RecordBatch:
    """The rows that Kafka received from the first moment on and before the second."""
    moments = batch.column("kafka_timestamp")
    start, end = (pa.scalar(moment, moments.type) for moment in received)
    return batch.filter(pc.and_(pc.greater_equal(moments, start), pc.less(moments, end)))


def as_json(array: pa.ListArray) -> pa.Array:
    """Each list as JSON text; decimals as strings, so that no digit is lost."""
    if array.null_count == len(array):
        return pa.nulls(len(array), pa.string())
    texts = [None if items is None else orjson.dumps(items, default=str).decode() for items in array.to_pylist()]
    return pa.array(texts, pa.string())
