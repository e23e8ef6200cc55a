"""Retention of the lake on the real stack: days that are loaded go, the books balance, and a run killed half way is made good."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from loglake import clients, lake, retirement, tables
from loglake.settings import settings
from loglake.spark import batch_session
from spark_jobs import lake_actions, lake_plan, retire
from tests import pipeline
from tests.stackfixture import EmbeddedStack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
TOPIC, ROWS = "long-ago", 60
TODAY = datetime.now(UTC).date()
DAYS = [TODAY - timedelta(days=age) for age in (402, 401, 400)]
KEEP = {"LOGLAKE_MAINTENANCE_LAKE_DAYS": "300"}
#: Rows that are there, as if another topic had brought them long ago: 20 a day from some day on, in two partitions.
_COPY = f"""
insert into {tables.FULL_NAME} by name
select * except (n) from (
    select * except (topic, partition, offset, kafka_timestamp),
           :name as topic, cast(n % 2 as int) as partition, cast(100 + n div 2 as bigint) as offset,
           cast(:day as timestamp) + make_interval(0, 0, 0, cast(n div 20 as int)) as kafka_timestamp, n
    from (select *, row_number() over (order by partition, offset) - 1 as n from {tables.FULL_NAME} where topic = :topic)
    where n < :rows
)
"""


@pytest.fixture(scope="module")
def spark(lake_stream: EmbeddedStack) -> Iterator[SparkSession]:
    """A session in this process, which takes no core from the stack's worker."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOGLAKE_SPARK_MASTER", "local[1]")
        settings.cache_clear()
        assert lake_stream.runtime == settings().runtime.runtime_dir
        with batch_session("loglake-test") as session:
            yield session
    settings.cache_clear()


@pytest.fixture(scope="module")
def old_days(lake_stream: EmbeddedStack, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A lake with three days of long ago, all of it loaded; the books."""
    pipeline.generate(lake_stream, tmp_path_factory.mktemp("ledger") / "ledger", "--count", "200", "--seed", "91", "--malformed", "0.05")
    pipeline.wait_in_lake(lake_stream)
    append(spark, TOPIC, DAYS[0], ROWS)
    pipeline.load(lake_stream)
    found = pipeline.books(lake_stream)
    assert (found["balanced"], found["findings"], found["notes"]) == (True, [], [])
    return found


def append(spark: SparkSession, name: str, day: date, rows: int) -> None:
    spark.sql(_COPY, args={"topic": settings().kafka.topic, "name": name, "day": f"{day} 12:00:00", "rows": rows})


def table() -> Any:
    found = lake.table()
    assert found is not None
    return found


def days_in_lake() -> list[Any]:
    return sorted(day for day in lake_plan.records_by_day(table()) if day in DAYS)


def maintain(stack: EmbeddedStack, *options: str) -> dict[str, Any]:
    done = stack.cli("maintain", "--only", "lake", "--json", *options, **KEEP)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def reached() -> dict[int, int]:
    return tables.reached(table().properties.get(tables.reached_property(TOPIC)))


def test_a_run_killed_before_or_after_the_delete_is_made_good(
    lake_stream: EmbeddedStack, old_days: dict[str, Any], spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("LOGLAKE_MAINTENANCE_LAKE_DAYS", "300")
    settings.cache_clear()
    second_day = DAYS[1] + timedelta(days=300)
    for victim, name, gone in ((lake_actions, "delete_files", False), (retirement, "finish", True)):
        with monkeypatch.context() as patch:
            patch.setattr(victim, name, die)
            with clients.postgres("loader") as connection:
                retire.settle(connection, table())
                with pytest.raises(KeyboardInterrupt):
                    retire.run(connection, table, lambda: spark, dry_run=False, today=second_day)
        assert (DAYS[0] not in days_in_lake()) is gone
        half_way = pipeline.books(lake_stream)
        assert half_way["findings"] == []
        assert half_way["notes"] == ["1 retirements of days are not finished: where no `loglake maintain` is running, run it again"]
    # the next run, in another process and with nothing due, makes the books good
    said = maintain(lake_stream, "--dry-run")
    assert pipeline.books(lake_stream)["notes"] == half_way["notes"]
    assert said["steps"]["lake"]["days"] == 2
    with clients.postgres("loader") as connection:
        retire.settle(connection, table())
    found = pipeline.books(lake_stream)
    assert (found["findings"], found["notes"]) == ([], [])
    assert (found["retired"], found["loaded"]["lake_retired"]) == (20, 20)
    assert pipeline.in_lake(found) == pipeline.in_lake(old_days) - 20


def test_days_that_are_loaded_go_and_everything_else_stays(
    lake_stream: EmbeddedStack, old_days: dict[str, Any], spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> None:
    append(spark, "not-loaded", TODAY - timedelta(days=350), 20)
    said = maintain(lake_stream)
    assert days_in_lake() == []
    assert (said["steps"]["lake"]["days"], said["steps"]["lake"]["records"], said["steps"]["lake"]["days_left"]) == (2, 40, 1)
    assert "1 wait for a load" in said["note"]
    found = pipeline.books(lake_stream)
    assert (found["balanced"], found["findings"]) == (True, [])
    assert found["notes"] == ["20 rows in the lake are not loaded yet: the next batch will"]
    assert (found["retired"], found["raw_events"], found["raw_rejected"]) == (ROWS, old_days["raw_events"], old_days["raw_rejected"])
    # the partitions' rows are all gone, and yet it is known how far they went
    assert [(held["rows"], held["retired"], held["first"], held["last"]) for held in found["lake"]["topics"][TOPIC].values()] == [
        (0, 30, 100, 129),
        (0, 30, 100, 129),
    ]
    assert reached() == {0: 129, 1: 129}
    # and the stream and the next load go on
    truth = pipeline.generate(lake_stream, tmp_path_factory.mktemp("ledger") / "later", "--count", "100", "--seed", "92")
    pipeline.wait_in_lake(lake_stream)
    assert pipeline.load(lake_stream)["rows_read"] == truth.acknowledged + 20
    after = pipeline.books(lake_stream)
    assert (after["balanced"], after["findings"], after["notes"]) == (True, [], [])
    assert after["loaded"]["lake_retired_before"] == ROWS


def test_a_rebuild_that_would_lose_retired_days_says_so_and_does_nothing(lake_stream: EmbeddedStack) -> None:
    done = lake_stream.cli("rebuild")
    assert done.returncode == 2
    assert f"the lake has retired {ROWS} records up to {DAYS[-1]} that the warehouse still holds" in " ".join(done.stderr.split())
    assert "--lose-retired" in done.stderr
