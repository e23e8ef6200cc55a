"""What the end point reads in Postgres, while others change it."""

from collections.abc import Iterator

import pytest

from loglake import clients
from loglake.metrics import sources
from loglake.metrics.facts import Table
from tests.sample import NOW
from tests.stackfixture import EmbeddedStack
from tests.warehouserows import empty_warehouse

pytestmark = pytest.mark.integration
_INCIDENT = """
insert into ops.incident (key, title, severity, anchor, detail, opened_at, told_at, reminders, relapses, recovered_at)
values (%s, %s, %s, %s, %s, %s, %s, 0, 0, %s)
"""


@pytest.fixture(scope="module")
def database(postgres: EmbeddedStack) -> Iterator[str]:
    assert postgres.runtime.exists()
    with empty_warehouse("metrics_test") as name:
        yield name


def test_a_table_that_is_dropped_while_it_is_measured_has_no_size(database: str) -> None:
    with clients.postgres("postgres", database) as owner, clients.postgres("monitor", database) as monitor, monitor.transaction():
        owner.execute("create table marts.gone (n int)")
        monitor.execute("set transaction isolation level repeatable read")
        before = {table.name for table in sources.tables(monitor)}
        owner.execute("drop table marts.gone")

        found = sources.tables(monitor)

    assert "gone" in before
    assert Table("marts", "gone", 0, 0) in found


def test_open_incidents_are_told_by_their_rule_and_those_that_are_over_are_not(database: str) -> None:
    assert sources.warehouse(database).incidents == frozenset()
    with clients.postgres("loader", database) as connection:
        for key, recovered_at in (("service_down:Kafka", None), ("service_down:HDFS", None), ("dag:loglake_batch", None), ("lag", NOW)):
            values = [key, "title", "critical", "anchor", "detail", NOW, NOW, recovered_at]
            connection.execute(_INCIDENT, values)

    assert sources.warehouse(database).incidents == {"service_down", "dag"}
