"""What the servers say: services, what the alert rules are judged by, Kafka, HDFS, the lake, Airflow, the check of the books.

The process behind the Prometheus end point asks them. All viewers share an answer for a while; when it is old they get it once more, while
a new one is made beside them.
"""

from datetime import UTC, datetime

import streamlit as st

from loglake.alerts import thresholds
from loglake.alerts.rules import Verdict, judge
from loglake.errors import LoglakeError
from loglake.metrics import seen
from loglake.metrics.seen import Seen
from loglake.settings import settings
from monitoring.database import database
from monitoring.queries import alerts

_KEPT_SECONDS = 15.0


@st.cache_data(ttl=_KEPT_SECONDS, show_spinner="Asking the services …", refresh_mode="background")
def look() -> Seen:
    """What the servers say; takes as long as the slowest, at most some fifteen seconds."""
    return seen.ask(datetime.now(UTC))


def changed_thresholds() -> dict[str, float]:
    """The thresholds that were changed and not put back; asked each time, so that a change is seen at once."""
    frame = database().ask(alerts.THRESHOLDS, {}).dropna(subset=["value"])
    return dict(zip(frame["name"], frame["value"].astype(float), strict=True))


def verdicts(looked: Seen) -> list[Verdict]:
    """The alert rules by the thresholds in force, or by the settings' where Postgres is down; none when the rules' facts are not known."""
    if looked.rules is None:
        return []
    try:
        changed = changed_thresholds()
    except LoglakeError:
        changed = {}
    return judge(looked.rules, thresholds.effective(settings().alerts, changed))
