"""Rounds of the alert DAG, for tests of what it tells: a service that is down or back, and what became of the messages."""

from dataclasses import replace
from datetime import timedelta

import psycopg

from loglake.alerts import store
from loglake.alerts.rules import judge
from loglake.alerts.steps import tell
from loglake.health import Status
from loglake.operation_settings import AlertSettings
from tests.alertfacts import NOW, WELL

DOWN = Status("Kafka", False, "no broker answers at 127.0.0.1:9092: see `loglake logs kafka`")
UP = Status("Kafka", True, "topic LogEvents, 2 partitions with a leader")


def see(connection: psycopg.Connection, minute: float, *statuses: Status) -> list[store.Text]:
    """A round of the alert DAG that finds the services so; what it puts into the outbox."""
    moment = NOW + timedelta(minutes=minute)
    return tell(connection, judge(replace(WELL, now=moment, services=statuses), AlertSettings()), moment)


def states(connection: psycopg.Connection) -> list[str]:
    """What became of each message on each of its channels."""
    return [state for sent in store.recent_messages(connection, 99) for state in sent.deliveries]
