"""`loglake restore`: a backup into an empty stack, of which Postgres, the NameNode and the DataNode are up and nothing else need be.

Killed at any point it can be run again: files on HDFS are what nothing refers to until the databases are there, and these are restored
beside the empty ones and take their places in one transaction. From then on a comment on the warehouse says which backup it is of, until
the books were compared.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from loglake import books, catalog, clients, lake, lake_files, lake_metadata, tables, upgrades, warehouse
from loglake.errors import BadInputError, NotBalancedError, SchemaError, ServiceError, SettingsError
from loglake.settings import replace_secret, settings
from stack import backup, tools
from stack.backup import OnStep
from stack.postgres import BINARIES, SUPERUSER, client_environment

_DRAFT, _EMPTY = "_restoring", "_replaced"
_START = "`loglake up --only postgres,namenode,datanode` on a stack without data (`make clean`)"
#: Of the books, what the lake holds; it is compared only when the lake is as it was at the backup.
_OF_LAKE = ("lake", "lake_at_load")
_MARK = "select shobj_description(oid, 'pg_database') from pg_database where datname = %s"


@dataclass(frozen=True)
class Restored:
    """What a restore did: the events in raw and the rows of the lake, the topics that the lake was filled from, revisions applied."""

    events: int
    rows: int
    topics: list[str]
    upgraded: list[str]
    is_newer: bool

    @property
    def note(self) -> str:
        lake_now = (
            "the lake is newer than the backup, the warehouse the same" if self.is_newer else "the books are the same as at the backup"
        )
        return f"restored: {self.events:,} events in raw, {self.rows:,} rows in the lake; {lake_now}"


def run(source: Path, on_step: OnStep) -> Restored:
    """Restore the backup in the folder `source`, and compare the books with those of then.

    BadInputError when the backup is damaged or the stack is not empty; NotBalancedError when the books differ afterwards.
    """
    on_step("verifying the backup")
    record = read(source)
    verify(source, record)
    _require_fit(record)
    mark = f"loglake restore: from the backup {backup.noted(source / backup.RECORD).sha256}, not compared yet"
    name = settings().postgres.database
    with clients.postgres(SUPERUSER, SUPERUSER) as server:
        if server.execute(_MARK, [name]).fetchone() != (mark,):
            _restore(server, source, record, mark, on_step)
        for database in _databases():
            _drop(server, database + _EMPTY)
        upgraded = upgrades.bring_up_to_date(name)
        on_step("counting")
        done = _compare(record, upgraded)
        _set_mark(server, name, None)
    return done


def _restore(server: psycopg.Connection, source: Path, record: dict[str, Any], mark: str, on_step: OnStep) -> None:
    """Fill HDFS where it must be, and let the backup's databases take the empty ones' places."""
    _require_empty_warehouse()
    for database in _databases():
        for suffix in (_DRAFT, _EMPTY):
            _drop(server, database + suffix)
    on_step("copying the lake's files to HDFS")
    newer = _newer_on_hdfs(source, record)
    if newer is None:
        _fill_hdfs(source, record)
    _take_key(source, record)
    on_step("restoring the databases")
    for database, (owner, dump) in _databases().items():
        warehouse.create_database(server, database + _DRAFT, owner)
        command = [str(BINARIES / "pg_restore"), "--exit-on-error", "--single-transaction", f"--dbname={database}{_DRAFT}"]
        environment = client_environment(SUPERUSER, database + _DRAFT)
        tools.run([*command, str(source / dump)], f"{source / dump} could not be restored", environment)
    if newer is not None:
        with clients.postgres(SUPERUSER, settings().postgres.catalog_database + _DRAFT) as connection:
            catalog.register(connection, newer.location)
    _set_mark(server, settings().postgres.database + _DRAFT, mark)
    _swap(server)


def read(source: Path) -> dict[str, Any]:
    """What the backup's backup.json says; BadInputError when there is none, or it is of another format."""
    path = source / backup.RECORD
    try:
        record: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadInputError(f"{source} is no backup: it has no {backup.RECORD}") from error
    except ValueError as error:
        raise BadInputError(f"{path} is damaged: {error}") from error
    if record.get("format") != backup.FORMAT:
        raise BadInputError(f"{path} has format {record.get('format')}, this release reads {backup.FORMAT}: use the release that wrote it")
    return record


def verify(source: Path, record: dict[str, Any]) -> None:
    """BadInputError when a file of the backup is missing, or is not what was written."""
    for name, known in record["files"].items():
        path = source / name
        if not path.is_file():
            raise BadInputError(f"the backup is not whole: {path} is missing")
        if backup.noted(path) != backup.Noted(**known):
            raise BadInputError(f"the backup is damaged: {path} is not what was written (SHA-256)")


def _require_fit(record: dict[str, Any]) -> None:
    """An error when this stack could not use what the backup holds."""
    if record["metadata_location"] is not None:
        lake_files.require_same_file_system(record["metadata_location"])
        folder = tables.table_path(settings().lake)
        if not tables.path_of(record["metadata_location"]).startswith(f"{folder}/"):
            raise SettingsError(
                f"the backup's table is {record['metadata_location']}, this stack's would be in {folder}: set LOGLAKE_LAKE_PATH"
            )
    known = upgrades.revisions()
    if record["schema_version"] not in known:
        raise SchemaError(
            f"the backup has schema version {record['schema_version']}, this release knows up to {known[-1]}: use a newer one"
        )
    if not record["holds_key"] and backup.pseudonym(settings().privacy.key.get_secret_value()) != record["pseudonym"]:
        raise SettingsError(f"the backup holds no privacy key: set {backup.KEY_NAME} to that of the installation it was made of")


def _databases() -> dict[str, tuple[str, str]]:
    """The databases of a backup: the owner, and the dump's name."""
    config = settings().postgres
    return {config.database: (SUPERUSER, backup.WAREHOUSE), config.catalog_database: ("lake_catalog", backup.CATALOG)}


def _require_empty_warehouse() -> None:
    """BadInputError when the warehouse or the catalog knows anything that a restore would replace."""
    with clients.postgres(SUPERUSER) as connection:
        [(loads, erasures)] = connection.execute(
            "select (select count(*) from ops.load_manifest), (select count(*) from ops.erasure)"
        ).fetchall()
    with clients.postgres("lake_catalog", settings().postgres.catalog_database) as connection:
        location = lake_metadata.location_in(connection)
    if loads or erasures or location:
        what = (
            f"the warehouse has {loads} loads"
            if loads
            else f"the catalog knows a table ({location})"
            if location
            else "an erasure is booked"
        )
        raise BadInputError(f"this stack is not empty, {what}: a restore goes into {_START}")


def _newer_on_hdfs(source: Path, record: dict[str, Any]) -> catalog.State | None:
    """Where HDFS was not lost: the whole state of the same table that was committed after the backup; None when there is none.

    It does without the backup's own files, which compaction and expiry take away within a day.
    """
    location = record["metadata_location"]
    if record["with_data"] or location is None:
        return None
    state, _ = catalog.search()
    copy = source / backup.LAKE / tables.path_of(location).lstrip("/")
    of_same_table = state is not None and state.table_uuid == json.loads(copy.read_text())["table-uuid"]
    return state if state and of_same_table and state.version > catalog.version_of(location) else None


def _fill_hdfs(source: Path, record: dict[str, Any]) -> None:
    """Bring the table's files to where they were; those that are there already (their names are never used twice) stay."""
    client, folder = clients.webhdfs(), tables.table_path(settings().lake)
    held = lake_files.present(client, folder)
    own = {
        path: (source / backup.LAKE / path.lstrip("/")) for path in (*record["metadata"], *(record["data"] if record["with_data"] else ()))
    }
    strange = sorted(held.keys() - own.keys())
    if record["with_data"] and strange:
        raise BadInputError(f"this stack is not empty, HDFS holds {strange[0]} (of {len(strange)} files): a restore goes into {_START}")
    if not record["with_data"]:
        lake_files.require_present(record["data"], held)
    for path, copy in own.items():
        if held.get(path) != copy.stat().st_size:
            with copy.open("rb") as file:
                client.write(path, file, overwrite=True, replication=settings().hdfs.replication)


def _take_key(source: Path, record: dict[str, Any]) -> None:
    """Let this stack's secrets have the backup's privacy key: should Postgres be lost once more, pseudonyms stay what they are."""
    if backup.KEY not in record["files"]:
        return
    name, _, value = (source / backup.KEY).read_text().strip().partition("=")
    replace_secret(name, value)
    if settings().privacy.key.get_secret_value() != value:
        raise SettingsError(f"{name} of the environment or of .env is not the backup's: remove it there, then run it again")


def _swap(server: psycopg.Connection) -> None:
    """Let the restored databases take the empty ones' places, both at once."""
    names = [database + suffix for database in _databases() for suffix in ("", _DRAFT)]
    try:
        with server.transaction():
            server.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = any(%s) and pid <> pg_backend_pid()", [names]
            )
            for database in _databases():
                for old, new in ((database, database + _EMPTY), (database + _DRAFT, database)):
                    server.execute(sql.SQL("alter database {} rename to {}").format(sql.Identifier(old), sql.Identifier(new)))
    except psycopg.errors.ObjectInUse as error:
        raise ServiceError(f"the empty databases are in use ({clients.one_line(error)}): a restore goes into {_START}") from error


def _set_mark(server: psycopg.Connection, database: str, mark: str | None) -> None:
    server.execute(sql.SQL("comment on database {} is {}").format(sql.Identifier(database), sql.Literal(mark)))


def _drop(server: psycopg.Connection, database: str) -> None:
    server.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(database)))


def _compare(record: dict[str, Any], upgraded: list[str]) -> Restored:
    """Count as the backup did; NotBalancedError with the first figure that is not the same."""
    began = datetime.now(UTC)
    with clients.postgres("monitor") as connection, connection.transaction():
        connection.execute("set transaction isolation level repeatable read read only")
        held = books.of_warehouse(connection)
    bronze = lake.table()
    is_newer = bronze is not None and bronze.metadata_location != record["metadata_location"]
    facts = books.with_lake(held, bronze, began)
    found, wanted = backup.figures(facts), record["books"]
    for name in wanted:
        if found[name] != wanted[name] and not (is_newer and name in _OF_LAKE):
            raise NotBalancedError(f"restored, but not what the backup says: {name} is {found[name]}, was {wanted[name]}")
    return Restored(facts.raw_events, facts.lake.good + facts.lake.rejected, record["topics"], upgraded, is_newer)
