"""Asking the servers themselves: services, alert rules, Kafka, HDFS, the lake, Airflow, the end point's check of the books.

All viewers share an answer for a while. When it is old they get it once more, while a new one is made beside them.
"""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import requests
import streamlit as st
from prometheus_client.parser import text_string_to_metric_families

from loglake import clients
from loglake.alerts import steps
from loglake.errors import ServiceError
from loglake.metrics import sources
from loglake.metrics.asking import Answers, Asker
from loglake.settings import settings

_KEPT_SECONDS = 15.0
_FINDINGS, _CHECKED, _ROWS = _BOOKS = ("loglake_books_findings", "loglake_books_checked_timestamp_seconds", "loglake_books_rows")
#: The rules ask the slowest; a server that hangs has ten seconds.
_LONGEST_SECONDS = 12.0


class Seen(NamedTuple):
    """What the servers said, and when."""

    answers: Answers
    at: datetime

    def get(self, name: str) -> Any:
        return self.answers.found.get(name)

    def reason(self, name: str) -> str:
        return self.answers.reasons.get(name, "")


class Books(NamedTuple):
    """The last check of the books by the end point's process: None before the first has ended."""

    checked_at: datetime | None
    findings: int
    rows: dict[str, int]


@st.cache_data(ttl=_KEPT_SECONDS, show_spinner="Asking the services …", refresh_mode="background")
def look() -> Seen:
    """What the servers say; takes as long as the slowest, at most twelve seconds."""
    return Seen(_asker().ask(), datetime.now(UTC))


@st.cache_resource
def _asker() -> Asker:
    return Asker(SOURCES, _LONGEST_SECONDS)


def books() -> Books:
    """The check that the process behind the Prometheus end point makes every few minutes; ServiceError when it does not answer."""
    names = "&".join(f"name[]={name}" for name in _BOOKS)
    with clients.web() as session:
        try:
            answer = session.get(f"{settings().metrics.url}?{names}", timeout=clients.TIMEOUT_SECONDS)
            answer.raise_for_status()
        except requests.HTTPError as error:
            raise ServiceError(f"the Prometheus end point answers HTTP {answer.status_code}: see `loglake logs metrics`") from error
        except requests.RequestException as error:
            raise ServiceError("the Prometheus end point does not answer: see `loglake logs metrics`") from error
    return books_of(answer.text)


def books_of(page: str) -> Books:
    """Of the end point's text."""
    held = {family.name: family.samples for family in text_string_to_metric_families(page)}
    checked, findings = held.get(_CHECKED) or [], held.get(_FINDINGS) or []
    rows = {sample.labels["stage"]: int(sample.value) for sample in held.get(_ROWS) or []}
    return Books(
        datetime.fromtimestamp(checked[0].value, UTC) if checked else None,
        int(findings[0].value) if findings else 0,
        rows,
    )


SOURCES = {
    "alerts": steps.look,
    "kafka": sources.kafka,
    "hdfs": sources.hdfs,
    "lake": sources.lake,
    "airflow": sources.airflow,
    "books": books,
}
