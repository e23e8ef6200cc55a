"""What a disk can take is brought back: everything from a backup, Postgres alone from what is on HDFS. On a stack of its own."""

import dataclasses
import json
import os
import shutil
import signal
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hdfs.client import InsecureClient

from loglake import clients
from tests import pipeline
from tests.stackfixture import CORE, LAKE_STREAM, EmbeddedStack, embedded_stack

pytestmark = pytest.mark.faults
STORES = ("postgres", "namenode", "datanode")
FLAWS = ("--late", "0.05", "--resent", "0.05", "--malformed", "0.02")
#: A mart and an erasure stand for what the lake cannot give back.
_BY_HAND = """
set role dbt; create table marts.made as select load_id from raw.log_events; reset role;
insert into ops.erasure (subject, newest_record, started_at, finished_at) values (vault.pseudonym('somebody'), now(), now(), now())
"""
_KEPT = "select (select count(*) from marts.made), (select subject from ops.erasure), vault.pseudonym('somebody')"


@dataclasses.dataclass(frozen=True)
class Filled:
    """A stack with data, all of it loaded; its books, and what `_KEPT` said."""

    stack: EmbeddedStack
    books: dict[str, Any]
    kept: str


def ask(stack: EmbeddedStack, statement: str) -> str:
    return pipeline.run(stack, "sql", "--role", "postgres", "--", "-qtAc", statement).strip()


def refused(stack: EmbeddedStack, *arguments: str, code: int = 2) -> str:
    done = stack.cli(*arguments)
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return done.stderr


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with embedded_stack(tmp_path_factory.mktemp("disaster")) as stack:
        stack.start((*CORE, *LAKE_STREAM))
        pipeline.generate(stack, tmp_path_factory.mktemp("ledger") / "ledger", "--count", "2000", "--seed", "71", *FLAWS)
        pipeline.wait_in_lake(stack)
        pipeline.load(stack)
        ask(stack, _BY_HAND)
        books = pipeline.books(stack)
        assert books["balanced"], books["findings"]
        yield Filled(stack, books, ask(stack, _KEPT))


def killed_restore(stack: EmbeddedStack, backup: Path) -> None:
    """kill -9 of a restore that has filled HDFS and is at the databases."""
    process = pipeline.popen(stack, "restore", str(backup))
    assert process.stdout is not None
    assert any("restoring the databases" in line for line in process.stdout)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)


def test_everything_is_lost_and_comes_back_from_a_backup(filled: Filled, tmp_path: Path) -> None:
    stack, backup = filled.stack, tmp_path / "backup"
    pipeline.run(stack, "backup", str(backup), "--with-data")
    record = json.loads((backup / "backup.json").read_text())
    assert record["books"]["raw_events"] == filled.books["raw_events"] > 1900
    assert [stat.S_IMODE((backup / name).stat().st_mode) for name in (".", "privacy.env", "warehouse.dump")] == [0o700, 0o600, 0o600]
    # what is not empty is not restored into
    assert "this stack is not empty, the warehouse has 1 loads" in refused(stack, "restore", str(backup))

    # when everything is lost, the secrets too
    pipeline.run(stack, "down")
    pipeline.run(stack, "clean")
    stack.start(STORES)
    killed_restore(stack, backup)
    said = pipeline.run(stack, "restore", str(backup))

    # then it is as it was, to the pseudonyms
    assert "the books are the same as at the backup" in said
    assert "set LOGLAKE_KAFKA_TOPIC to another name than LogEvents first" in said
    assert ask(stack, _KEPT) == filled.kept
    assert ask(stack, "select count(*) from pg_database where datname ~ '_restoring|_replaced'") == "0"


def write_half_a_commit(stack: EmbeddedStack) -> None:
    """What a writer that is killed leaves: a newer metadata file, not whole."""
    client = InsecureClient(
        f"http://127.0.0.1:{stack.environment['LOGLAKE_HDFS_NAMENODE_HTTP_PORT']}", user="loglake", session=clients.web()
    )
    client.write(f"/lake/bronze/log_events/metadata/99999-{uuid.uuid4()}.metadata.json", b'{"format-version": 2, "table-uuid"')


def test_postgres_alone_is_lost_and_made_anew_from_the_lake(filled: Filled, tmp_path: Path) -> None:
    stack = filled.stack
    rows, pseudonym = pipeline.in_lake(filled.books), ask(stack, "select vault.pseudonym('somebody')")
    for name in ("lake-stream", "postgres"):
        stack.stop(name)
    shutil.rmtree(stack.runtime / "data" / "postgres")
    write_half_a_commit(stack)
    stack.start(STORES)

    # a stream that would hide the lake behind a new table does not start
    assert "but HDFS holds its metadata" in refused(stack, "up", "--only", "lake-stream", code=1)
    assert f"{rows:,} rows" in pipeline.run(stack, "catalog", "rebuild")
    assert "there is nothing to rebuild" in refused(stack, "catalog", "rebuild")
    # another topic's name, as after a Kafka that was lost too; the supervisor hands the environment on that it was started with
    pipeline.run(stack, "down")
    renamed = dataclasses.replace(stack, environment={**stack.environment, "LOGLAKE_KAFKA_TOPIC": "AnotherTopic"})
    renamed.start((*CORE, *LAKE_STREAM))
    pipeline.generate(renamed, tmp_path / "more", "--count", "300", "--seed", "72")
    pipeline.wait_in_lake(renamed)
    loaded = pipeline.load(renamed)

    assert (loaded["rows_read"], loaded["rows_inserted"]) == (rows + 300, filled.books["raw_events"] + 300)
    assert ask(stack, "select vault.pseudonym('somebody')") == pseudonym
    books = pipeline.books(renamed)
    assert (books["balanced"], books["findings"], books["notes"]) == (True, [], [])
    assert {name: sum(held["rows"] for held in found.values()) for name, found in books["lake"]["topics"].items()} == {
        "LogEvents": rows,
        "AnotherTopic": 300,
    }
