"""What all servers of the pipeline say at this moment, in one answer as JSON.

The process behind the Prometheus end point gives it. So the monitor, whose pages people reach, has to reach only that and Postgres.
"""

from dataclasses import dataclass, field
from datetime import datetime

import msgspec
import requests

from loglake import clients
from loglake.alerts import facts as alerts
from loglake.metrics.facts import Airflow, Audit, Lake
from loglake.settings import settings
from loglake.topic import Bounds

PATH = "/seen"
#: The rules ask the slowest; a server that hangs has ten seconds.
LONGEST_SECONDS = 12.0
#: For the answer itself, on the way.
_MARGIN_SECONDS = 3.0


@dataclass(frozen=True)
class Seen:
    """What each source said; None where it did not answer, and `reasons` says why, by the name of the field.

    `rules`: what the alert rules are judged by, the services among it. `hdfs`: metrics by name. `audit`: None before the first check of
    the books has ended, too.
    """

    at: datetime
    rules: alerts.Facts | None = None
    kafka: dict[int, Bounds] | None = None
    hdfs: dict[str, float] | None = None
    lake: Lake | None = None
    airflow: Airflow | None = None
    audit: Audit | None = None
    reasons: dict[str, str] = field(default_factory=dict)

    def reason(self, name: str) -> str:
        """Why a source said nothing; empty when it did."""
        return self.reasons.get(name, "")


#: What is asked of servers.
SOURCES = ("rules", "kafka", "hdfs", "lake", "airflow")


def encode(seen: Seen) -> bytes:
    """As JSON."""
    return msgspec.json.encode(seen)


def decode(text: bytes) -> Seen:
    """From JSON; msgspec.DecodeError when it is none, or of another release."""
    return msgspec.json.decode(text, type=Seen)


def ask(now: datetime) -> Seen:
    """What the end point has seen; when it does not answer, nothing was seen `now`, for that reason."""
    try:
        with clients.web() as session:
            answer = session.get(settings().metrics.at(PATH), timeout=LONGEST_SECONDS + _MARGIN_SECONDS)
        if answer.ok:
            return decode(answer.content)
        reason = f"the Prometheus end point answers HTTP {answer.status_code}"
    except requests.RequestException:
        reason = "the Prometheus end point does not answer"
    except msgspec.DecodeError:
        reason = "the Prometheus end point is of another release"
    return Seen(now, reasons=dict.fromkeys((*SOURCES, "audit"), f"{reason}: see `loglake logs metrics`"))
