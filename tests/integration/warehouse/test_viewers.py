"""What `loglake bench viewers` stands on: the shop that it makes, and what Postgres tells of the monitor's questions."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from bench import querylog, shop
from loglake import clients
from loglake.settings import settings
from monitoring.database import Database
from monitoring.queries import Query, live, marts
from tests.stackfixture import EmbeddedStack
from tests.waiting import wait_for

pytestmark = pytest.mark.integration
ASKED = Query("asked_of_it", "select %(number)s::integer as number limit %(rows)s", 1)
DAYS = timedelta(days=3)


@pytest.fixture
def monitor(postgres: EmbeddedStack) -> Iterator[Database]:
    assert postgres.runtime.exists()
    database = Database(clients.postgres_pool("monitor", 2, 20), 1)
    yield database
    database.close()


def test_postgres_names_what_the_monitor_asks_for_as_long_as_it_is_looked_at(postgres: EmbeddedStack, monitor: Database) -> None:
    log = querylog.Follower(postgres.runtime / "logs" / "postgres.log")
    seen: list[str] = []

    def taken() -> dict[str, list[float]]:
        seen.extend(log.lines())
        return querylog.milliseconds(seen)

    monitor.ask(ASKED, {"number": 1})  # over a connection from before, which the pool keeps
    with querylog.told():
        monitor.ask(ASKED, {"number": 2})
        monitor.ask(ASKED, {"number": 3})
        wait_for("the log to name both", lambda: len(taken().get("asked_of_it", [])) == 2)
    monitor.ask(ASKED, {"number": 4})
    with clients.postgres("postgres") as admin:
        admin.execute("do $$ begin raise log 'the last line'; end $$")
    wait_for("the log's last line", lambda: taken() and any("the last line" in line for line in seen))
    assert len(taken()["asked_of_it"]) == 2
    assert not any("$1 = '2'" in line for line in seen)
    log.close()


def test_a_shop_of_some_days_has_marts_and_live_windows_up_to_now(postgres: EmbeddedStack, monkeypatch: pytest.MonkeyPatch) -> None:
    assert postgres.runtime.exists()
    monkeypatch.setenv("LOGLAKE_POSTGRES_DATABASE", settings().postgres.database)
    with shop.warehouse_of(3_000, DAYS.days, lambda _: None):
        database = Database(clients.postgres_pool("monitor", 1, 20), 1)
        sessions = database.ask(marts.SESSIONS_OVER_TIME, {"length": DAYS, "country": None, "device": None})
        windows = database.ask(live.TOTALS, {"length": timedelta(hours=2)})
        database.close()
    assert sessions["sessions"].sum() > 200
    assert len(sessions) >= DAYS.days
    assert len(windows) > 100
    assert windows["events"].sum() > 100_000
    monkeypatch.undo()
    settings.cache_clear()
