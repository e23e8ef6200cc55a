"""The lake table's name, and its metadata file as JSON: what a process that must stay small reads, without PyIceberg and Arrow."""

import json
from typing import Any

import psycopg
from hdfs.util import HdfsError

from loglake import clients
from loglake.errors import ServiceError
from loglake.settings import settings

CATALOG = "lake"
NAMESPACE = "bronze"
TABLE = "log_events"
FULL_NAME = f"{CATALOG}.{NAMESPACE}.{TABLE}"
_LOCATION = """
select metadata_location from iceberg_tables where catalog_name = %s and table_namespace = %s and table_name = %s
"""


def path_of(location: str) -> str:
    """The path on HDFS of `hdfs://authority/path`, as WebHDFS wants it."""
    return "/" + location.split("://", 1)[-1].split("/", 1)[1]


def location() -> str | None:
    """Where the catalog says that the table's metadata file is now; None before the stream has made the table."""
    with clients.postgres("lake_catalog", settings().postgres.catalog_database) as connection:
        return location_in(connection)


def location_in(connection: psycopg.Connection) -> str | None:
    """The same by the catalog to whose database `connection` is."""
    row = connection.execute(_LOCATION, [CATALOG, NAMESPACE, TABLE]).fetchone()
    return str(row[0]) if row else None


def document() -> dict[str, Any] | None:
    """The metadata file (https://iceberg.apache.org/spec/#table-metadata); None before the stream has made the table.

    ServiceError or an error of its client when Postgres or HDFS does not answer.
    """
    where = location()
    if where is None:
        return None
    try:
        with clients.webhdfs().read(path_of(where)) as reader:
            found: dict[str, Any] = json.load(reader)
    except HdfsError as error:
        raise ServiceError(f"the lake's metadata file {where} cannot be read: {clients.one_line(error)}") from error
    return found
