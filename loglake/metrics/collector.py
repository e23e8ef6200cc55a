"""One scrape: ask every source at the same time, wait no longer than the settings say, and make families of what came."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from importlib.metadata import version
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from loglake import clients
from loglake.metrics import sources
from loglake.metrics.definitions import DEFINITIONS
from loglake.metrics.facts import Audit, Facts, samples
from loglake.metrics.families import empty, families
from loglake.operation_settings import MetricsSettings
from loglake.settings import settings

log = logging.getLogger(__name__)
Source = Callable[[], Any]
SOURCES: dict[str, Source] = {
    "postgres": sources.warehouse,
    "kafka": sources.kafka,
    "hdfs": sources.hdfs,
    "lake": sources.lake,
    "spark": sources.spark,
    "airflow": sources.airflow,
    "disk": sources.disk,
}


class StackCollector(Collector):
    """What the registry asks at each scrape. `audit` gives the last check of the books."""

    def __init__(self, config: MetricsSettings, audit: Callable[[], Audit | None], asked: Mapping[str, Source] = SOURCES) -> None:
        self._config = config
        self._audit = audit
        self._sources = asked
        self._pool = ThreadPoolExecutor(len(asked), thread_name_prefix="source")
        self._unfinished: dict[str, Future[tuple[Any, float]]] = {}
        self._down: set[str] = set()
        self._reasons: dict[str, str] = {}
        self._lock = threading.Lock()
        self._kept: tuple[float, list[Metric]] = (float("-inf"), [])

    def describe(self) -> Iterable[Metric]:
        """The names alone, so that to register, or to ask for other names, asks no server."""
        return [empty(definition) for definition in DEFINITIONS]

    def collect(self) -> Iterable[Metric]:
        """The families; two scrapes at once, or soon after each other, share an answer."""
        with self._lock:
            asked_at, kept = self._kept
            if time.monotonic() - asked_at >= self._config.cache_seconds:
                kept = families(samples(self._facts()))
                self._kept = (time.monotonic(), kept)
            return kept

    def _facts(self) -> Facts:
        answers, seconds = self._ask()
        hdfs, hdfs_fit = answers.get("hdfs") or (None, False)
        spark, spark_fit = answers.get("spark") or (None, False)
        warehouse, airflow = answers.get("postgres"), answers.get("airflow")
        up = {
            "postgres": "postgres" in answers,
            "kafka": "kafka" in answers,
            "hdfs": hdfs_fit,
            "lake": "lake" in answers,
            "spark": spark_fit,
            "stream": warehouse is not None and sources.stream_is_fit(warehouse.stream),
            "airflow": airflow is not None and all(airflow.components.values()),
        }
        self._tell(up)
        return Facts(
            version=version("loglake"),
            topic=settings().kafka.topic,
            up=up,
            seconds=seconds,
            warehouse=warehouse,
            kafka=answers.get("kafka"),
            lake=answers.get("lake"),
            hdfs=hdfs,
            spark=spark,
            airflow=airflow,
            disk=answers.get("disk"),
            audit=self._audit(),
        )

    def _ask(self) -> tuple[dict[str, Any], dict[str, float]]:
        """What each source that answered in time said, and how long it took.

        One that is still busy with an earlier scrape is not asked again, so a server that hangs holds one thread. A fault of the program in
        one costs its metrics alone; the log has its traceback.
        """
        asked = {}
        told, self._reasons = self._reasons, {}
        for name, source in self._sources.items():
            busy = self._unfinished.get(name)
            if busy is None or busy.done():
                asked[name] = self._unfinished[name] = self._pool.submit(_timed, source)
        wait(asked.values(), timeout=self._config.timeout_seconds)
        answers, seconds = {}, {}
        for name, future in asked.items():
            if not future.done():
                self._reasons[name] = f"no answer within {self._config.timeout_seconds:g} s"
            elif error := future.exception():
                self._reasons[name] = clients.one_line(error)
                if not isinstance(error, clients.ERRORS) and told.get(name) != self._reasons[name]:
                    log.error("%s gave an answer that nobody expected, and counts as down", name, exc_info=error)
            else:
                answers[name], seconds[name] = future.result()
        return answers, seconds

    def _tell(self, up: dict[str, bool]) -> None:
        """Log what went down or came back, once."""
        down = {name for name, ok in up.items() if not ok}
        for name in sorted(down - self._down):
            log.warning("%s is down: %s", name, self._reasons.get(name, "see `loglake status`"))
        for name in sorted(self._down - down):
            log.info("%s is back", name)
        self._down = down


def _timed(source: Source) -> tuple[Any, float]:
    began = time.monotonic()
    return source(), time.monotonic() - began
