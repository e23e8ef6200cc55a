"""A lake in a local folder, where a test has Postgres but no HDFS: real Iceberg metadata and Parquet, with HDFS's addresses in them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from hdfs.util import HdfsError
from pyarrow.fs import FileSystem
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table
from sqlalchemy import NullPool, create_engine

from loglake import clients, lake, lake_files, tables
from loglake.columns import LAKE_SCHEMA
from loglake.settings import settings
from tests.sample import NOW


class Folder:
    """Of WebHDFS's client what backup and restore ask for; a path on HDFS is the same path on the local disk."""

    def status(self, path: str, *, strict: bool = True) -> dict[str, int] | None:
        if not strict and not Path(path).exists():
            return None
        found = Path(path).stat()
        return {"length": found.st_size, "modificationTime": found.st_mtime_ns}

    def list(self, path: str, *, status: bool) -> list[tuple[str, dict[str, int] | None]]:
        assert status
        return [(entry.name, self.status(str(entry))) for entry in Path(path).iterdir()]

    def walk(self, path: str, *, status: bool) -> Iterator[Any]:
        assert status
        for folder, names, files in os.walk(path):
            yield (folder, None), names, [(name, self.status(f"{folder}/{name}")) for name in files]

    @contextmanager
    def read(self, path: str, *, chunk_size: int = 0) -> Iterator[Any]:
        if not Path(path).is_file():
            raise HdfsError(f"File does not exist: {path}")
        with Path(path).open("rb") as file:
            yield iter(lambda: file.read(chunk_size), b"") if chunk_size else file

    def write(self, path: str, data: Any, *, overwrite: bool, replication: int) -> None:
        assert overwrite
        assert replication
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(data.read())


class FolderIO(PyArrowFileIO):
    """Writes `hdfs://authority/path` to the local path."""

    def _initialize_fs(self, scheme: str, netloc: str | None = None) -> FileSystem:  # noqa: ARG002 - whatever they say
        return super()._initialize_fs("file")


def table(*, create: bool = False) -> Table:
    """The bronze table for a writer, in the place that the settings name and the catalog that is in Postgres."""
    uri = clients.postgres_uri("lake_catalog", settings().postgres.catalog_database).replace("postgresql:", "postgresql+psycopg:")
    file_io = {"py-io-impl": f"{__name__}.{FolderIO.__name__}"}
    catalog = SqlCatalog(tables.CATALOG, uri=uri, init_catalog_tables="false", **file_io)
    # It has no option for an engine that keeps no connection.
    catalog.engine.dispose()
    catalog.engine = create_engine(uri, poolclass=NullPool)
    if create:
        catalog.create_namespace(tables.NAMESPACE)
        catalog.create_table(f"{tables.NAMESPACE}.{tables.TABLE}", LAKE_SCHEMA, settings().hdfs.uri + tables.table_path(settings().lake))
    return catalog.load_table(f"{tables.NAMESPACE}.{tables.TABLE}")


def records(offsets: range) -> pa.Table:
    """Records of the topic; what they say is null."""
    position = {"topic": settings().kafka.topic, "partition": 0, "kafka_timestamp": NOW, "ingested_at": NOW}
    return pa.Table.from_pylist([{**position, "offset": offset} for offset in offsets], LAKE_SCHEMA)


def compact() -> None:
    """What maintenance does in a day: all rows in new files, and every snapshot and file of before gone."""
    bronze = table()
    bronze.overwrite(bronze.scan().to_arrow())
    current = bronze.metadata.current_snapshot_id
    old = [snapshot.snapshot_id for snapshot in bronze.snapshots() if snapshot.snapshot_id != current]
    bronze.maintenance.expire_snapshots().by_ids(old).commit()
    now = lake.table()
    assert now is not None
    used = lake_files.referenced(now, now.snapshots())
    for path in lake_files.present(clients.webhdfs(), tables.table_path(settings().lake)).keys() - {*used.metadata, *used.data}:
        Path(path).unlink()
