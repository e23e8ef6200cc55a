"""Backup and restore on real Postgres and a real Iceberg table, whose files lie in a folder in the place of HDFS."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from loglake import clients, lake_files, lake_metadata, tables
from loglake.errors import BadInputError, LoadInProgressError, ServiceError
from loglake.settings import settings
from loglake.warehouse import REBUILD_LOCK_KEY
from stack import backup, postgres, restore
from stack.restore import Restored
from tests import lakefolder
from tests.sample import event
from tests.warehouserows import deliver

pytestmark = pytest.mark.integration
NAME, CATALOG = "backup_test", "backup_test_catalog"
_LEFT = "select datname, shobj_description(oid, 'pg_database') from pg_database where datname ~ '^backup_test' order by 1"


def lose_postgres() -> None:
    """The databases as `loglake up` makes them, empty."""
    with clients.postgres("postgres", "postgres") as server:
        for name in (NAME, CATALOG):
            server.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
    postgres.complete()


@pytest.fixture
def lake_path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a table of ten records, the first three of which are loaded."""
    request.getfixturevalue("postgres")
    for name, value in {"POSTGRES_DATABASE": NAME, "POSTGRES_CATALOG_DATABASE": CATALOG, "LAKE_PATH": str(tmp_path / "lake")}.items():
        monkeypatch.setenv(f"LOGLAKE_{name}", value)
    monkeypatch.setattr(clients, "webhdfs", lakefolder.Folder)
    settings.cache_clear()
    lose_postgres()
    lakefolder.table(create=True).append(lakefolder.records(range(3)))
    deliver(NAME, 1, [*map(event, range(3))])
    lakefolder.table().append(lakefolder.records(range(3, 10)))
    yield Path(tables.table_path(settings().lake))
    with clients.postgres("postgres", "postgres") as server:
        for name in (NAME, CATALOG):
            server.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
    monkeypatch.undo()
    settings.cache_clear()


def back_up(target: Path, *, with_data: bool = False) -> dict[str, Any]:
    return backup.run(target, lambda _: None, with_data=with_data, with_key=True)


def restored(source: Path) -> Restored:
    return restore.run(source, lambda _: None)


def left() -> list[tuple[str, str | None]]:
    with clients.postgres("postgres", "postgres") as server:
        return server.execute(_LEFT).fetchall()


def test_a_backup_without_data_is_restored_after_maintenance_took_its_files_away(lake_path: Path, tmp_path: Path) -> None:
    record = back_up(tmp_path / "backup")
    lakefolder.table().append(lakefolder.records(range(10, 14)))
    lakefolder.compact()
    newest = lake_metadata.location()
    assert not [path for path in (*record["data"], *record["metadata"]) if Path(path).exists()]
    lose_postgres()

    done = restored(tmp_path / "backup")

    assert (done.events, done.rows, done.is_newer) == (3, 14, True)
    assert lake_metadata.location() == newest
    assert lake_path.exists()


def test_a_backup_without_data_is_refused_where_hdfs_lacks_a_file_and_holds_nothing_newer(lake_path: Path, tmp_path: Path) -> None:
    record = back_up(tmp_path / "backup")
    lose_postgres()
    Path(next(iter(record["data"]))).unlink()
    with pytest.raises(ServiceError, match="HDFS lacks 1 of the 2 data files"):
        restored(tmp_path / "backup")

    # another table in its place, with more commits, is not the backup's either
    shutil.rmtree(lake_path)
    lakefolder.table(create=True)
    for number in range(5):
        lakefolder.table().append(lakefolder.records(range(number, number + 1)))
    lose_postgres()
    with pytest.raises(ServiceError, match="HDFS lacks 2 of the 2 data files"):
        restored(tmp_path / "backup")


def test_a_restore_that_is_killed_after_the_databases_are_there_is_finished_by_the_next(
    lake_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(tmp_path / "backup", with_data=True)
    shutil.rmtree(lake_path)
    lose_postgres()
    swap = restore._swap

    def killed(server: psycopg.Connection) -> None:
        swap(server)
        raise KeyboardInterrupt

    monkeypatch.setattr(restore, "_swap", killed)
    with pytest.raises(KeyboardInterrupt):
        restored(tmp_path / "backup")
    monkeypatch.setattr(restore, "_swap", swap)
    assert any(mark for _, mark in left())
    # the backup of somebody else is not what was being restored
    shutil.copytree(tmp_path / "backup", tmp_path / "other")
    with (tmp_path / "other" / "backup.json").open("a") as file:
        file.write("\n")
    with pytest.raises(BadInputError, match="this stack is not empty"):
        restored(tmp_path / "other")

    assert "the books are the same as at the backup" in restored(tmp_path / "backup").note

    assert left() == [(NAME, None), (CATALOG, None)]
    with pytest.raises(BadInputError, match="this stack is not empty, the warehouse has 1 loads"):
        restored(tmp_path / "backup")


def test_the_metadata_file_is_copied_before_the_streams_commits_take_it_away(
    lake_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    referenced, newest = lake_files.referenced, Path(tables.path_of(lake_metadata.location() or ""))

    def after_many_commits(*arguments: Any) -> lake_files.Referenced:
        newest.rename(lake_path / "expired")
        return referenced(*arguments)

    monkeypatch.setattr(lake_files, "referenced", after_many_commits)
    record = back_up(tmp_path / "backup")

    assert str(newest) in record["metadata"]
    copy = tmp_path / "backup" / backup.LAKE / str(newest).lstrip("/")
    assert copy.read_bytes() == (lake_path / "expired").read_bytes()


def test_no_backup_is_made_beside_a_rebuild_an_erasure_or_maintenance(lake_path: Path, tmp_path: Path) -> None:
    with clients.postgres("loader") as other:
        other.execute("select pg_advisory_lock(%s)", [REBUILD_LOCK_KEY])
        with pytest.raises(LoadInProgressError, match="a rebuild, an erasure or maintenance is running: wait for it to end"):
            back_up(tmp_path / "backup")
    assert lake_path.exists()
    assert not (tmp_path / "backup").exists()
