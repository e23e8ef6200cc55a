"""A shop of so many days for measurements, and a monitor that shows it: raw, marts, live windows of the last hours. Needs Postgres only."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from bench import model
from bench.tenant import tenant_warehouse
from consumers import live_store
from consumers.live_rows import rows_of
from consumers.live_store import Batch, Position
from consumers.live_windows import SECOND, Windows
from loglake import clients, models
from loglake.errors import ServiceError
from loglake.settings import LOOPBACK, child_environment, export, settings
from producers.flaws import Flaws
from producers.generate import Plan
from stack import monitor

Tell = Callable[[str], None]
#: Events per second that the live windows are filled with: a page's queries read every one of them.
_LIVE_RATE = 20
_NOBODY = "bench"
_START_SECONDS, _POLL_SECONDS = 120.0, 0.2


@contextmanager
def warehouse_of(events: int, days: int, tell: Tell) -> Iterator[None]:
    """A warehouse of its own with so many events of the last days, marts and live windows; it is gone afterwards."""
    now = time.time()
    with tenant_warehouse():
        rows = model.fill(events, now, datetime.fromtimestamp(now, UTC) - timedelta(days=days))
        tell(f"{rows:,} events of {days} days in raw after {time.time() - now:.0f} s")
        models.run_dbt(["build"])
        tell(f"marts after {time.time() - now:.0f} s")
        fill_live(now)
        with clients.postgres("postgres") as admin:
            # As autovacuum would have done some minutes later.
            admin.execute("vacuum analyze")
        tell(f"live windows of {settings().live.keep_hours:g} hours after {time.time() - now:.0f} s")
        yield


def fill_live(now: float) -> None:
    """The live windows up to `now` (Unix seconds), by the live stream's own code, as if it had read a topic until then."""
    config, moment = settings(), datetime.fromtimestamp(now, UTC)
    floor = moment - timedelta(hours=config.live.keep_hours)
    plan = Plan(count=round(_LIVE_RATE * (moment - floor).total_seconds()), seed=8, start=floor, flaws=Flaws(malformed=0.01))
    windows = Windows(round(config.live.lateness_seconds * SECOND), next_offsets={0: 0})
    with clients.postgres("loader") as connection:
        live_store.reset(connection, Position(_NOBODY, _NOBODY, {0: 0}))
        for number, records in enumerate(model.batches(plan, now)):
            before, began = dict(windows.next_offsets), time.monotonic()
            table = pa.Table.from_batches([model.as_kafka_gives(records, before[0], moment)])
            rows = rows_of(table, config.stream.max_payload_bytes, config.live.latest_events)
            since = live_store.microseconds(floor)
            fold = windows.fold(rows, since)
            latest = [row for row in rows if row.payload is not None]
            live_store.write(connection, windows, Batch(_NOBODY, number, fold, before, since, latest, config.live.latest_events, began))
        connection.execute("insert into ops.stream_heartbeat values ('live', %s, %s, now(), 0)", [_NOBODY, _NOBODY])


@contextmanager
def monitor_of_its_own() -> Iterator[int]:
    """A monitor of this process's settings on a free port; its process id."""
    with socket.create_server((LOOPBACK, 0)) as free:
        export(LOGLAKE_MONITOR_PORT=str(free.getsockname()[1]))
    settings.cache_clear()
    service = monitor.service()
    environment = child_environment(**service.environment)
    with subprocess.Popen(
        service.command, cwd=service.directory, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait_until_it_serves(process)
            yield process.pid
        finally:
            process.terminate()


def _wait_until_it_serves(process: "subprocess.Popen[bytes]") -> None:
    service, deadline = monitor.service(), time.monotonic() + _START_SECONDS
    while lacks := service.lacks(datetime.now(UTC)):
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServiceError(f"the monitor did not come up: {lacks}")
        time.sleep(_POLL_SECONDS)
