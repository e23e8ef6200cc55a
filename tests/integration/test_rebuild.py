"""`loglake rebuild` on the real stack: what it makes from the lake alone is what the increments made, and no reader notices."""

import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil
import pytest

from loglake import clients, shadow
from loglake.batch_steps import LOADS
from loglake.jobs import run_job
from loglake.models import FULL_TESTS, run_dbt
from tests import pipeline
from tests.stackfixture import EmbeddedStack
from tests.waiting import wait_for

pytestmark = pytest.mark.integration
FLAWS = ("--late", "0.05", "--resent", "0.05", "--malformed", "0.01")
#: Every relation of the schemas that a rebuild makes anew; but notes on what was read when, and partitions, which are in their table.
_RELATIONS = """
select relnamespace::regnamespace::text, relname::text from pg_class
where relnamespace::regnamespace::text = any(%s) and relkind in ('r', 'p', 'v') and not relispartition and relname not like 'load\\_%%'
  and relname <> 'ref_position'
order by 1, 2
"""
_INDEXES = "select schemaname || '.' || indexname from pg_indexes where schemaname = any(%s) order by 1"


def ask(statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    return pipeline.query(statement, *parameters, role="postgres")


def contents() -> dict[str, tuple[Any, ...]]:
    """Rows of each table and view, and a hash of all of them but the load that brought them."""
    found = {}
    for schema, name in ask(_RELATIONS, list(shadow.SWAPPED)):
        digest = (
            "select count(*), md5(string_agg(line, '' order by line)) from (select (to_jsonb(t) - 'load_id')::text as line from {} t) x"
        )
        (found[f"{schema}.{name}"],) = ask(digest.format(f"{schema}.{name}"))
    return found


def indexes() -> list[tuple[Any, ...]]:
    """Names of the indexes; dbt's own have a hash of the moment in them."""
    return [row for row in ask(_INDEXES, list(shadow.SWAPPED)) if not row[0].rpartition(".")[2].isalnum()]


def leftovers() -> list[tuple[Any, ...]]:
    return ask("select nspname::text from pg_namespace where nspname ~ '^(rebuild|replaced)_'")


@pytest.fixture(scope="module")
def loaded(lake_stream: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> EmbeddedStack:
    """A warehouse that was filled in two loads, each with late and repeated events, and holds what the lake holds."""
    path = tmp_path_factory.mktemp("ledger")
    for seed in ("31", "32"):
        pipeline.generate(lake_stream, path / seed, "--count", "2000", "--seed", seed, *FLAWS)
        pipeline.wait_in_lake(lake_stream)
        pipeline.load(lake_stream)
        pipeline.run(lake_stream, "model")
    return lake_stream


class Reader(Thread):
    """Asks the marts again and again, as a BI tool does; keeps the fewest rows it saw and what went wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.enough, self.fewest, self.asked, self.errors = Event(), 1 << 62, 0, list[str]()

    def run(self) -> None:
        with clients.postgres("bi_reader") as connection:
            while not self.enough.wait(0.05):
                try:
                    rows = connection.execute(
                        "select count(*) from marts.fact_event join marts.dim_users using (user_sk) join marts.dim_date using (date_sk)"
                    ).fetchall()
                    self.fewest = min(self.fewest, rows[0][0])
                    self.asked += 1
                except Exception as error:
                    self.errors.append(str(error))
                    return


@pytest.fixture
def reader() -> Iterator[Reader]:
    thread = Reader()
    thread.start()
    yield thread
    thread.enough.set()
    thread.join()


def until(what: str, process: "subprocess.Popen[str]", condition: Any) -> None:
    wait_for(what, lambda: process.poll() is not None or condition(), seconds=600)
    assert process.poll() is None, process.communicate()[0]


def kill(process: "subprocess.Popen[str]") -> None:
    """kill -9 of a command and of what it started."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    os.kill(process.pid, signal.SIGKILL)
    for member in family[1:]:
        if member.is_running():
            member.kill()
    process.communicate(timeout=60)


def building(mart: str) -> bool:
    return bool(ask("select from pg_class where relname = %s and relnamespace::regnamespace::text ~ '^rebuild_'", mart))


def waiting_for_readers() -> bool:
    return bool(ask("select from pg_stat_activity where pid <> pg_backend_pid() and query like '%%age(backend_xmin)%%'"))


def test_a_rebuild_gives_the_same_rows_while_readers_read_and_events_come(loaded: EmbeddedStack, reader: Reader, tmp_path: Path) -> None:
    before, indexes_before = contents(), indexes()
    events = pipeline.scalar("select count(*) from marts.fact_event")
    # given a rebuild, and a transaction that began before it and has not yet looked at the marts
    with clients.postgres("monitor", autocommit=False) as early:
        early.execute("set transaction isolation level repeatable read")
        early.execute("select 1")
        rebuild = pipeline.popen(loaded, "rebuild", "--json")
        until("the rebuild to wait for the transaction", rebuild, waiting_for_readers)
        # then it still finds every row, and a session that looks at this moment too
        assert early.execute("select count(*) from marts.fact_event").fetchall() == [(events,)]
        assert contents() == before
    output = rebuild.communicate(timeout=600)[0]
    assert rebuild.returncode == 0, output
    # and the result is the same, to the row and the index, and the readers never saw less
    assert contents() == before
    assert indexes() == indexes_before
    assert reader.errors == []
    assert reader.asked > 10
    assert reader.fewest == events
    assert leftovers() == []
    assert pipeline.query("select count(*), max(snapshot_from) from ops.load_manifest") == [(1, None)]
    # and everything goes on from there
    pipeline.generate(loaded, tmp_path / "more", "--count", "500", "--seed", "34")
    pipeline.wait_in_lake(loaded)
    assert pipeline.load(loaded)["rows_inserted"] == 500
    pipeline.run(loaded, "model")
    run_dbt(FULL_TESTS)
    books = pipeline.books(loaded)
    assert (books["balanced"], books["findings"], books["notes"]) == (True, [], [])


def test_a_killed_rebuild_changes_nothing_and_the_next_one_clears_up(loaded: EmbeddedStack, tmp_path: Path) -> None:
    before = contents()
    for mart in ("fact_event", "cdc_product"):
        rebuild = pipeline.popen(loaded, "rebuild")
        until(f"the rebuild to make {mart}", rebuild, lambda mart=mart: building(mart))
        kill(rebuild)
        assert contents() == before
    assert leftovers() != []
    # what comes to the lake while a rebuild runs (here as the DAG runs one), is loaded by it or by the next load
    with ThreadPoolExecutor(1) as pool:
        rebuild = pool.submit(run_job, *LOADS["rebuild"])
        pipeline.generate(loaded, tmp_path / "meanwhile", "--count", "500", "--seed", "35")
        facts = rebuild.result(timeout=600)
    assert facts["note"].startswith(f"rebuilt: {facts['events']:,} events")
    assert leftovers() == []
    pipeline.wait_in_lake(loaded)
    pipeline.load(loaded)
    pipeline.run(loaded, "model")
    books = pipeline.books(loaded)
    assert (books["balanced"], books["notes"]) == (True, [])
    assert contents()["raw.log_events"][0] == before["raw.log_events"][0] + 500
