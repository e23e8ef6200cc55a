"""The lake's table in the catalog, when Postgres was lost: HDFS holds its metadata, and the catalog only says which file is the newest.

What the newest one does not know was never committed, or was read by nobody after: the stream looks up in the lake where to go on.
"""

import re
from dataclasses import dataclass

import psycopg
from pyiceberg.exceptions import ValidationError

from loglake import clients, lake, lake_files, lake_metadata, tables
from loglake.errors import BadInputError, ServiceError
from loglake.settings import settings

#: Iceberg's name of the n-th metadata file of a table that a catalog keeps.
_NAME = re.compile(r"(\d+)-[0-9a-f-]+\.metadata\.json")
_KEY = (tables.CATALOG, tables.NAMESPACE, tables.TABLE)
_FORGET = "delete from iceberg_tables where (catalog_name, table_namespace, table_name) = (%s, %s, %s)"
_REGISTER = """
insert into iceberg_tables (catalog_name, table_namespace, table_name, metadata_location, iceberg_type) values (%s, %s, %s, %s, 'TABLE')
"""
_NAMESPACE = "insert into iceberg_namespace_properties values (%s, %s, 'exists', 'true') on conflict do nothing"


@dataclass(frozen=True)
class State:
    """A state of the table that a metadata file on HDFS describes: complete, or it would not be one."""

    location: str
    table_uuid: str
    snapshot_id: int | None
    rows: int
    was_erased_from: bool

    @property
    def version(self) -> int:
        return version_of(self.location)


def version_of(location: str) -> int:
    """The number in a metadata file's name: it grows by one with each commit."""
    found = _NAME.fullmatch(location.rpartition("/")[2])
    if found is None:
        raise BadInputError(f"{location} is not called like a metadata file of Iceberg")
    return int(found[1])


def metadata_files() -> list[str]:
    """The table's metadata files on HDFS, as paths, newest first: by their number, then by the time they were written."""
    client, folder = clients.webhdfs(), f"{tables.table_path(settings().lake)}/metadata"
    if client.status(folder, strict=False) is None:
        return []
    listed = [(name, status["modificationTime"]) for name, status in client.list(folder, status=True) if _NAME.fullmatch(name)]
    return [f"{folder}/{name}" for name, _ in sorted(listed, key=lambda one: (version_of(one[0]), one[1]), reverse=True)]


def newest() -> State:
    """The newest state of the table on HDFS of which every file is there; ServiceError when there is none."""
    state, problem = search()
    if state is not None:
        return state
    if problem:
        raise ServiceError(f"no metadata file on HDFS describes a whole table; of the newest, {problem}")
    raise ServiceError(
        f"HDFS holds no metadata of the table in {tables.table_path(settings().lake)}: a lake that was lost comes from a backup "
        "(`loglake restore`), or anew from Kafka (`loglake up`)"
    )


def search() -> tuple[State | None, str]:
    """The same, or None; and what is wrong with the newest metadata file that describes no whole table, "" when none is."""
    held = lake_files.present(clients.webhdfs(), tables.table_path(settings().lake))
    problem = ""
    for path in metadata_files():
        try:
            return _state(settings().hdfs.uri + path, held), problem
        except (OSError, ValueError, ValidationError, ServiceError) as error:
            problem = problem or f"{path}: {clients.one_line(error)[:200]}"
    return None, problem


def _state(location: str, held: dict[str, int]) -> State:
    """What a metadata file describes; ServiceError, or what reading raises, when a file is missing or damaged."""
    bronze = lake.table_at(location)
    lake_files.require_same_file_system(bronze.location())
    snapshot = bronze.current_snapshot()
    if snapshot is not None:
        lake_files.require_present(lake_files.referenced(bronze, [snapshot]).data, held)
    was_erased_from = any(name.startswith(tables.reached_property("")) for name in bronze.properties)
    return State(
        location, str(bronze.metadata.table_uuid), snapshot.snapshot_id if snapshot else None, lake.total_records(bronze), was_erased_from
    )


def rebuild() -> State:
    """Register the newest state on HDFS in a catalog that does not know the table; what was registered. BadInputError when it does."""
    with clients.postgres("lake_catalog", settings().postgres.catalog_database) as connection:
        known = lake_metadata.location_in(connection)
        if known is not None:
            raise BadInputError(f"the catalog knows the table ({known}): there is nothing to rebuild")
        state = newest()
        register(connection, state.location)
    return state


def register(connection: psycopg.Connection, location: str) -> None:
    """Let the catalog say that the table is what this metadata file describes; `connection` is to the catalog's database."""
    with connection.transaction():
        connection.execute(_NAMESPACE, [tables.CATALOG, tables.NAMESPACE])
        connection.execute(_FORGET, _KEY)
        connection.execute(_REGISTER, [*_KEY, location])
