"""What the alert rules are judged by. `loglake.alerts.gather` asks the servers for it; this module asks nobody."""

from dataclasses import dataclass, field
from datetime import datetime

from loglake import health, topic


@dataclass(frozen=True)
class Warehouse:
    """Postgres: the window's arrivals and events, records per hour (today's last full one, then past days'), loads and their books.

    `live_seen`: when the live stream last reported.
    """

    arrived: int
    rejected: int
    events: int
    errors: int
    latency_p95: float | None
    last_hour: int | None
    past_hours: tuple[int, ...]
    unbuilt_since: datetime | None
    live_seen: datetime | None
    findings: tuple[str, ...]


@dataclass(frozen=True)
class Lake:
    """The table's current snapshot, when the oldest append that is not loaded was made, and how the last load's snapshot differs."""

    files: int
    needed_files: int
    unloaded_since: datetime | None
    findings: tuple[str, ...]


@dataclass(frozen=True)
class Hdfs:
    """Bytes that HDFS has used, and could use yet."""

    used: int
    remaining: int


@dataclass(frozen=True)
class Facts:
    """One reading; a part is None when its source did not answer, and `unknown` says why."""

    now: datetime
    services: tuple[health.Status, ...] = ()
    warehouse: Warehouse | None = None
    kafka: topic.Waiting | None = None
    lake: Lake | None = None
    hdfs: Hdfs | None = None
    disk_free_bytes: int | None = None
    unknown: dict[str, str] = field(default_factory=dict)


#: Each part of the facts and who it is asked of, by the name that the service has in `loglake.health` where it has one.
SOURCES = {"warehouse": "Postgres", "kafka": "Kafka", "lake": "the lake", "hdfs": "HDFS", "disk_free_bytes": "the disk"}
