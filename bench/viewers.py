"""What viewers of the monitor cost: real browsers on all of its pages at once, and what Postgres says of the questions that come of it.

The monitor is the one that runs, or one upon a warehouse that is made for this (bench/shop.py).
"""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, cycle, islice
from types import TracebackType
from urllib.parse import quote

import psutil
import psycopg

from bench import browsing, querylog, shop
from bench.live import spread
from loglake import clients
from loglake.errors import BadInputError, ServiceError
from loglake.settings import settings
from monitoring.filters import COUNTRY, EVENT_TYPE, EVENT_TYPES, RANGE
from stack import monitor
from stack.daemon import Daemon

Tell = Callable[[str], None]
_POLL_SECONDS = 0.25
_COUNTRIES = "select geo_country from marts.fct_session where geo_country is not null group by 1 order by sum(events) desc, 1"
_CONNECTIONS = "select count(*) from pg_stat_activity where usename = 'monitor' and backend_type = 'client backend'"


@dataclass(frozen=True)
class Timing:
    """How often a question was asked, and the milliseconds that Postgres took for it: median, 95th percentile, longest."""

    name: str
    asked: int
    median: float
    p95: float
    longest: float


@dataclass(frozen=True)
class Report:
    """Pages opened, and seconds until they were drawn (median, 95th percentile, longest); questions, by name and all together.

    Cores are those of the server and the monitor, and of all processes of the machine; connections are the most that were open at once.
    """

    viewers: int
    opened: int
    drawn: tuple[float, float, float]
    questions: tuple[Timing, ...]
    together: Timing
    cores: dict[str, float]
    connections: int


def measure(viewers: int, seconds: int, days: int, events: int, tell: Tell) -> Report:
    """Let viewers look at so many days; with `events` at a warehouse and a monitor of their own, which are gone afterwards."""
    browsing.chromium()
    with ExitStack() as own:
        if events:
            own.enter_context(shop.warehouse_of(events, days, tell))
            pid = own.enter_context(shop.monitor_of_its_own())
        else:
            pid = _pid("monitor")
        asked = filters(viewers, days, _countries())
        own.enter_context(querylog.told())
        watch = own.enter_context(Watch({"postgres": _pid("postgres"), "monitor": pid}))
        tell(f"{viewers} viewers come to {monitor.base_url()}")
        drawn = browsing.browse(monitor.base_url(), asked, seconds, watch.begin)
        watch.end()
    taken = querylog.milliseconds(watch.lines)
    if not taken or len(drawn) < 2:
        raise ServiceError("the viewers saw too little to measure: let them look for longer (--seconds)")
    return Report(viewers, len(drawn), spread(drawn), *timings(taken), watch.cores, watch.connections)


def timings(taken: dict[str, list[float]]) -> tuple[tuple[Timing, ...], Timing]:
    """Of each question, the slowest first, and of all together."""
    each = sorted((_timing(name, found) for name, found in taken.items()), key=lambda timing: -timing.p95)
    return tuple(each), _timing("all", list(chain.from_iterable(taken.values())))


def _timing(name: str, taken: list[float]) -> Timing:
    median, p95, longest = spread(taken) if len(taken) > 1 else taken * 3
    return Timing(name, len(taken), round(median, 1), round(p95, 1), round(longest, 1))


def filters(viewers: int, days: int, countries: Iterable[str]) -> list[str]:
    """The query of each viewer's URL: of three one sees everything, one a country, one an event type, so that not all share one answer."""
    chosen = zip(
        cycle([""]), cycle(f"&{COUNTRY}={quote(name)}" for name in countries), cycle(f"&{EVENT_TYPE}={name}" for name in EVENT_TYPES)
    )
    return [f"{RANGE}={days}d{one}" for one in islice(chain.from_iterable(chosen), viewers)]


def _countries() -> list[str]:
    """Those of the marts, the one with the most events first."""
    with clients.postgres("monitor") as connection:
        try:
            found = [name for (name,) in connection.execute(_COUNTRIES)]
        except psycopg.errors.UndefinedTable as error:
            raise BadInputError("the warehouse has no marts to look at: run `loglake model`, or give --events") from error
    if not found:
        raise BadInputError("the marts are empty: run `loglake model` after a load, or give --events")
    return found


def _pid(name: str) -> int:
    """The process of a service; ServiceError when it does not run."""
    pid = Daemon(settings().runtime.runtime_dir).process(name).pid
    if not pid:
        raise ServiceError(f"{name} does not run: `loglake up --only {name}`")
    return pid


class Watch:
    """What happens between `begin` and `end`: lines of Postgres' log, connections at most, cores by process and its children."""

    def __init__(self, roots: dict[str, int]) -> None:
        self._roots = roots
        self._log = querylog.Follower(settings().runtime.runtime_dir / "logs" / "postgres.log")
        self._lines: list[str] = []
        self._counts: list[int] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._first = (0, 0)
        self._before: dict[str, float] = {}
        self._began = 0.0
        self.lines: list[str] = []
        self.connections = 0
        self.cores: dict[str, float] = {}

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()
        self._log.close()

    def begin(self) -> None:
        self._first, self._before, self._began = (len(self._lines), len(self._counts)), self._cpu(), time.monotonic()

    def end(self) -> None:
        elapsed, after = time.monotonic() - self._began, self._cpu()
        time.sleep(2 * _POLL_SECONDS)
        self.lines, self.connections = self._lines[self._first[0] :], max(self._counts[self._first[1] :])
        self.cores = {name: (seconds - self._before[name]) / elapsed for name, seconds in after.items()}

    def _look(self) -> None:
        with clients.postgres("postgres") as connection:
            while not self._done.wait(_POLL_SECONDS):
                self._lines += self._log.lines()
                self._counts += [row[0] for row in connection.execute(_CONNECTIONS)]

    def _cpu(self) -> dict[str, float]:
        machine = psutil.cpu_times()
        busy = machine.user + machine.nice + machine.system + machine.irq + machine.softirq
        return {name: tree_seconds(pid) for name, pid in self._roots.items()} | {"all processes": busy}


def tree_seconds(pid: int) -> float:
    """Processor seconds of a process, its children and those that have ended: a server's parallel workers live for one query."""
    root = psutil.Process(pid)
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total
