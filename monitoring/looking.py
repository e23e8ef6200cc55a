"""What the servers say: services, what the alert rules are judged by, Kafka, HDFS, the lake, Airflow, the check of the books.

The process behind the Prometheus end point asks them. All viewers share an answer for a while; when it is old they get it once more, while
a new one is made beside them.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import streamlit as st

from loglake.alerts import thresholds
from loglake.alerts.facts import Facts
from loglake.alerts.rules import Verdict, judge
from loglake.errors import LoglakeError
from loglake.metrics import seen
from loglake.metrics.seen import Seen
from loglake.settings import settings
from monitoring import alert_rows
from monitoring.queries import alerts
from monitoring.reading import read

_KEPT_SECONDS = 15.0


@st.cache_data(ttl=_KEPT_SECONDS, show_spinner="Asking the services …", refresh_mode="background")
def look() -> Seen:
    """What the servers say; takes as long as the slowest, at most some fifteen seconds."""
    return seen.ask(datetime.now(UTC))


def verdicts(looked: Seen) -> list[Verdict]:
    """The alert rules by the thresholds in force, or by the settings' where Postgres is down; none when the rules' facts are not known."""
    if looked.rules is None:
        return []
    try:
        changed = alert_rows.changed(read(alerts.THRESHOLDS))
    except LoglakeError:
        changed = {}
    return judged(looked.rules, changed)


def judged(facts: Facts, changed: Mapping[str, float]) -> list[Verdict]:
    """The alert rules by the settings' thresholds and those that were changed."""
    return judge(facts, thresholds.effective(settings().alerts, changed))
