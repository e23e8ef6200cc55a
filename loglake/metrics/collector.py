"""One scrape: ask every source at the same time, wait no longer than the settings say, and make families of what came."""

import logging
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from loglake.metrics import sources
from loglake.metrics.asking import Asker, Kept, Source
from loglake.metrics.definitions import DEFINITIONS
from loglake.metrics.facts import Audit, Facts, samples
from loglake.metrics.families import empty, families
from loglake.operation_settings import MetricsSettings
from loglake.settings import settings

log = logging.getLogger(__name__)
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
        self._audit = audit
        self._asker = Asker(asked, config.timeout_seconds)
        self._down: set[str] = set()
        self._reasons: dict[str, str] = {}
        self._kept = Kept(lambda: families(samples(self._facts())), config.cache_seconds)

    def describe(self) -> Iterable[Metric]:
        """The names alone, so that to register, or to ask for other names, asks no server."""
        return [empty(definition) for definition in DEFINITIONS]

    def collect(self) -> Iterable[Metric]:
        """The families; two scrapes at once, or soon after each other, share an answer."""
        return self._kept.get()

    def _facts(self) -> Facts:
        answers, seconds, self._reasons = self._asker.ask()
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

    def _tell(self, up: dict[str, bool]) -> None:
        """Log what went down or came back, once."""
        down = {name for name, ok in up.items() if not ok}
        for name in sorted(down - self._down):
            log.warning("%s is down: %s", name, self._reasons.get(name, "see `loglake status`"))
        for name in sorted(self._down - down):
            log.info("%s is back", name)
        self._down = down
