"""`loglake backup`: warehouse, catalog and the lake's table as one consistent state, in a folder that is there whole or not at all.

The warehouse is read first, the lake after it: so the lake holds all that the warehouse has loaded, and what came between is a backlog.
No rebuild, no erasure and no maintenance runs meanwhile; the stream and the load may.
"""

import hashlib
import hmac
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import psycopg
from hdfs.client import InsecureClient
from hdfs.util import HdfsError
from pyiceberg.table import StaticTable

from loglake import books, clients, lake, lake_files, lake_metadata, locks, shadow, tables, upgrades
from loglake.balance import Facts, balance
from loglake.errors import BadInputError, LoadInProgressError, ServiceError
from loglake.lake_files import Referenced
from loglake.settings import PROJECT, settings
from loglake.warehouse import REBUILD_LOCK_KEY
from stack import tools
from stack.postgres import BINARIES, SUPERUSER, client_environment

FORMAT = 1
RECORD, WAREHOUSE, CATALOG, KEY, LAKE = "backup.json", "warehouse.dump", "catalog.dump", "privacy.env", "lake"
KEY_NAME = "LOGLAKE_PRIVACY_KEY"
#: A value whose pseudonym shows which key a warehouse has, and gives nothing away.
PROBE = "loglake"
_CHUNK = 1024 * 1024
#: What loads and rebuilds that are under way keep for themselves.
_TRANSIENT = ("--exclude-table=stage.*", f"--exclude-schema={shadow.SHADOW}*", f"--exclude-schema={shadow.REPLACED}*")
OnStep = Callable[[str], object]


@dataclass(frozen=True)
class Noted:
    """A file of a backup as it was written."""

    sha256: str
    bytes: int


def run(target: Path, on_step: OnStep, *, with_data: bool, with_key: bool) -> dict[str, Any]:
    """Write a backup to the new folder `target`; what its backup.json says. A killed one leaves a hidden draft, which the next replaces."""
    with _draft(target) as draft, clients.postgres(SUPERUSER) as admin:
        if not locks.take(admin, REBUILD_LOCK_KEY):
            raise LoadInProgressError("a rebuild, an erasure or maintenance is running: wait for it to end")
        began = datetime.now(UTC)
        on_step("dumping the warehouse")
        warehouse = _dump_warehouse(draft, with_key=with_key)
        on_step("dumping the catalog, copying the table's metadata" + (" and data files" if with_data else ""))
        bronze = _dump_catalog(draft)
        files = _copy_lake(draft, bronze, with_data=with_data) if bronze else Referenced((), {})
        on_step("counting the lake")
        facts = books.with_lake(warehouse, bronze, began)
        record = {**_record(admin, facts, bronze, files), "with_data": with_data, "holds_key": with_key}
        _finish(draft, record)
    return record


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """A folder for its owner alone, beside `target`, whose place it takes when the block ends well; BadInputError when that is taken."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BadInputError(f"{target} is there already: name a new folder")
    draft = target.with_name(f".{target.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True, mode=0o700)
    except (FileExistsError, NotADirectoryError) as error:
        raise BadInputError(f"{target}: {target.parent} is no folder") from error
    try:
        yield draft
        draft.replace(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def figures(facts: Facts) -> dict[str, Any]:
    """The books as a backup keeps and compares them, in JSON's types: all but Kafka's, which is in no backup."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(facts)))
    return {name: value for name, value in found.items() if name not in ("kafka", "topic")}


def pseudonym(key: str) -> str:
    """What `vault.pseudonym` makes of PROBE with this key."""
    return hmac.new(key.encode(), PROBE.encode(), hashlib.sha256).hexdigest()


def noted(path: Path) -> Noted:
    """The checksum and the length of a file."""
    with path.open("rb") as file:
        return Noted(hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)


@contextmanager
def _snapshot(database: str) -> Iterator[tuple[psycopg.Connection, Callable[[], str]]]:
    """The superuser in a transaction that sees one moment, and a function that names that moment for `pg_dump`."""
    with clients.postgres(SUPERUSER, database) as connection, connection.transaction():
        connection.execute("set transaction isolation level repeatable read read only")
        yield connection, lambda: str(connection.execute("select pg_export_snapshot()").fetchall()[0][0])


def _dump_warehouse(draft: Path, *, with_key: bool) -> dict[str, Any]:
    """Dump the warehouse, and the facts of exactly that moment."""
    database = settings().postgres.database
    with _snapshot(database) as (connection, moment):
        facts = books.of_warehouse(connection)
        [(known,)] = connection.execute("select vault.pseudonym(%s)", [PROBE]).fetchall()
        without = () if with_key else ("--exclude-table-data=vault.pseudonym_key",)
        _dump(database, moment(), draft / WAREHOUSE, *_TRANSIENT, *without)
    key = settings().privacy.key.get_secret_value()
    if with_key and known == pseudonym(key):
        (draft / KEY).touch(mode=0o600)
        (draft / KEY).write_text(f"{KEY_NAME}={key}\n")
    return facts


def _dump_catalog(draft: Path) -> StaticTable | None:
    """Dump the catalog; the table as it says in exactly that moment."""
    database = settings().postgres.catalog_database
    with _snapshot(database) as (connection, moment):
        location = lake_metadata.location_in(connection)
        _dump(database, moment(), draft / CATALOG)
    return lake.table_at(location) if location else None


def _dump(database: str, snapshot: str, path: Path, *options: str) -> None:
    path.touch(mode=0o600)
    command = [str(BINARIES / "pg_dump"), "--format=custom", f"--snapshot={snapshot}", f"--file={path}", *options]
    tools.run(command, f"the database {database} could not be dumped", client_environment(SUPERUSER, database))


def _copy_lake(draft: Path, bronze: StaticTable, *, with_data: bool) -> Referenced:
    """Copy the table's metadata, and its data files if they are wanted; ServiceError when one that it refers to is not there.

    The metadata file comes first: the stream's next commits take it away. What it refers to stays while no maintenance runs.
    """
    client, newest = clients.webhdfs(), tables.path_of(bronze.metadata_location)
    try:
        _copy(client, newest, draft)
        files = lake_files.referenced(bronze, bronze.snapshots())
        for path in {*files.metadata, *(files.data if with_data else ())} - {newest}:
            _copy(client, path, draft)
        lake_files.require_present(files.data, lake_files.present(client, tables.path_of(bronze.location())))
    except (FileNotFoundError, HdfsError, ServiceError) as error:
        raise ServiceError(
            f"the lake changed while it was read, or is damaged ({clients.one_line(error)}): no backup was made; run it again"
        ) from error
    return files


def _copy(client: InsecureClient, path: str, draft: Path) -> None:
    copy = draft / LAKE / path.lstrip("/")
    copy.parent.mkdir(parents=True, exist_ok=True)
    with client.read(path, chunk_size=_CHUNK) as chunks, copy.open("wb") as file:
        file.writelines(chunks)


def _record(admin: psycopg.Connection, facts: Facts, bronze: StaticTable | None, files: Referenced) -> dict[str, Any]:
    """What backup.json says, but for the files."""
    config = settings()
    return {
        "format": FORMAT,
        "loglake": package_version("loglake"),
        "git": _revision(),
        "made_at": datetime.now(UTC).isoformat(),
        "schema_version": upgrades.version(admin),
        "postgres": admin.info.server_version,
        "hdfs": config.hdfs.uri,
        "topics": sorted({config.kafka.topic, *facts.lake.topics}),
        "metadata_location": bronze.metadata_location if bronze else None,
        "snapshot_id": bronze.metadata.current_snapshot_id if bronze else None,
        "metadata": list(files.metadata),
        "data": files.data,
        "pseudonym": admin.execute("select vault.pseudonym(%s)", [PROBE]).fetchall()[0][0],
        "books": figures(facts),
        "findings": balance(facts).findings,
    }


def _finish(draft: Path, record: dict[str, Any]) -> None:
    """Write backup.json, which knows every other file."""
    paths = sorted(path for path in draft.rglob("*") if path.is_file())
    record["files"] = {str(path.relative_to(draft)): asdict(noted(path)) for path in paths}
    (draft / RECORD).write_text(json.dumps(record, indent=2) + "\n")


def _revision() -> str | None:
    """The revision of the code, where it is a checkout of git."""
    command = ["/usr/bin/env", "git", "-C", str(PROJECT), "rev-parse", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None
