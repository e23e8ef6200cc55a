"""Asks the servers what `loglake.metrics.seen` tells of them."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from loglake.alerts.facts import Facts
from loglake.metrics import sources
from loglake.metrics.asking import Asker, Kept, Source
from loglake.metrics.facts import Audit
from loglake.metrics.seen import LONGEST_SECONDS, Seen


def rules() -> Facts:
    """What the alert rules are judged by."""
    # Here, as PyIceberg and Arrow would double the end point's memory where nobody looks at the monitor.
    from loglake.alerts.gather import gather

    return gather()


def hdfs() -> dict[str, float]:
    """What the active NameNode counts."""
    counted, _ = sources.hdfs()
    return counted


SOURCES: dict[str, Source] = {
    "rules": rules,
    "kafka": sources.kafka,
    "hdfs": hdfs,
    "lake": sources.lake,
    "airflow": sources.airflow,
}


class Looker:
    """Looks when it is asked; all who ask within `keep_seconds` share a look. `audit` gives the last check of the books."""

    def __init__(self, keep_seconds: float, audit: Callable[[], Audit | None], asked: Mapping[str, Source] = SOURCES) -> None:
        self._audit = audit
        self._asker = Asker(asked, LONGEST_SECONDS)
        self._kept = Kept(self._look, keep_seconds)

    def look(self) -> Seen:
        """Takes as long as the slowest server, at most `LONGEST_SECONDS`."""
        return self._kept.get()

    def _look(self) -> Seen:
        answers = self._asker.ask()
        return Seen(datetime.now(UTC), **answers.found, audit=self._audit(), reasons=answers.reasons)
