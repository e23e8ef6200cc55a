"""How long Postgres took for each question of the monitor: from the server's own log, which names them while this looks.

The monitor begins each statement with the question's name (monitoring/database.py). A question is sent in up to three messages (parse,
bind, execute), each with its line in the log; the time of a question is their sum.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from loglake import clients

#: The superuser alone may set these; they hold for connections made after. What was asked for may be about a person, and is not needed.
_SET = ("alter role monitor set log_min_duration_statement = 0", "alter role monitor set log_parameter_max_length = 0")
_RESET = ("alter role monitor reset log_min_duration_statement", "alter role monitor reset log_parameter_max_length")
#: What the pool holds open has the settings of before; it makes new connections in their place.
_RENEW = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'monitor' and state = 'idle'"
_LINE = re.compile(
    r" \[(?P<pid>\d+)\] monitor@\S+ LOG:  duration: (?P<ms>[\d.]+) ms  (?P<step>parse|bind|execute) [^:]*: /\* (?P<name>\w+) \*/"
)


@contextmanager
def told() -> Iterator[None]:
    """While the block runs Postgres logs what each statement of the role `monitor` took."""
    with clients.postgres("postgres") as admin:
        try:
            for statement in (*_SET, _RENEW):
                admin.execute(statement.encode())
            yield
        finally:
            for statement in (*_RESET, _RENEW):
                admin.execute(statement.encode())


def milliseconds(lines: Iterable[str]) -> dict[str, list[float]]:
    """By the question's name, what each time of asking it took, in milliseconds."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    begun: defaultdict[str, float] = defaultdict(float)
    for line in lines:
        if told := _LINE.search(line):
            begun[told["pid"]] += float(told["ms"])
            if told["step"] == "execute":
                found[told["name"]].append(begun.pop(told["pid"]))
    return dict(found)


class Follower:
    """The lines that come to a log from now on, also when the supervisor puts it away and begins a new one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open(encoding="utf-8", errors="replace")
        self._file.seek(0, 2)
        self._rest = ""

    def lines(self) -> list[str]:
        """The whole lines that came since this was asked last; asked more often than the log is put away twice."""
        text = self._rest + self._file.read()
        if self._path.stat().st_ino != os.fstat(self._file.fileno()).st_ino:
            text += self._file.read()
            self._file.close()
            self._file = self._path.open(encoding="utf-8", errors="replace")
            text += self._file.read()
        whole, _, self._rest = text.rpartition("\n")
        return whole.splitlines()

    def close(self) -> None:
        self._file.close()
