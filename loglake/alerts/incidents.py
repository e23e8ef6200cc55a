"""When an alert is told: the life of an incident, as a pure function of what is known, what fires and the time.

One message when it opens, reminders that grow further apart, one message when it is over. An incident is over when its alert has been quiet
for a while; an alert that comes back meanwhile goes on with the same incident, and must then be quiet for twice as long. One that comes
back soon after it was over begins with that longer time. So what flaps is one open incident, not a row of messages.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

Kind = Literal["opened", "reminder", "recovered"]
LONGEST_REMINDER = timedelta(days=1)
LONGEST_QUIET = timedelta(hours=1)
#: An alert that comes back within this time after its incident was over is taken for flapping.
MEMORY = timedelta(hours=2)


@dataclass(frozen=True)
class Alert:
    """Something that is wrong now. `detail` may have several lines."""

    key: str
    title: str
    severity: str
    anchor: str
    detail: str


@dataclass(frozen=True)
class Incident:
    """An alert that was told. `told_at`: its last message; `relapses`: how often it came back; `quiet_since`: None while it fires."""

    alert: Alert
    opened_at: datetime
    told_at: datetime
    reminders: int = 0
    relapses: int = 0
    quiet_since: datetime | None = None
    recovered_at: datetime | None = None
    incident_id: int | None = None


class Message(NamedTuple):
    """A message that is due, and the incident as it is then."""

    kind: Kind
    incident: Incident


class Pace(NamedTuple):
    """How long an alert must be quiet the first time and, doubled each time, after a relapse; and when the first reminder is due."""

    first_quiet: timedelta
    quiet: timedelta
    reminder: timedelta

    def needed_quiet(self, relapses: int) -> timedelta:
        return _doubled(self.quiet, relapses, LONGEST_QUIET) if relapses else self.first_quiet

    def next_reminder(self, reminders: int) -> timedelta:
        return _doubled(self.reminder, reminders, LONGEST_REMINDER)


def _doubled(length: timedelta, times: int, longest: timedelta) -> timedelta:
    # Twenty doublings of a second are twelve days: more would only overflow.
    return min(length * (1 << min(times, 20)), longest)


def step(
    known: Mapping[str, Incident], alerts: Iterable[Alert], unjudged: Collection[str], now: datetime, pace: Pace
) -> tuple[list[Incident], list[Message]]:
    """The incidents that changed, and the messages that are due.

    `known`: by key, the open incidents and those that were over within MEMORY (the last one of each key).
    `unjudged`: keys of which nothing is known now: their open incidents stay as they are, and are reminded of.
    """
    firing = {alert.key: alert for alert in alerts}
    changes = [_next(known.get(key), firing.get(key), key in unjudged, now, pace) for key in sorted(known.keys() | firing.keys())]
    after = [incident for incident, _ in changes if incident is not None and incident != known.get(incident.alert.key)]
    return after, [Message(kind, incident) for incident, kind in changes if incident is not None and kind is not None]


def _next(
    incident: Incident | None, alert: Alert | None, is_unjudged: bool, now: datetime, pace: Pace
) -> tuple[Incident | None, Kind | None]:
    if incident is None or incident.recovered_at is not None:
        return _open(incident, alert, now)
    if alert is not None:
        relapses = incident.relapses + (incident.quiet_since is not None)
        return _remind(replace(incident, alert=alert, quiet_since=None, relapses=relapses), now, pace)
    if is_unjudged:
        return (incident, None) if incident.quiet_since else _remind(incident, now, pace)
    quiet_since = incident.quiet_since or now
    if now - quiet_since >= pace.needed_quiet(incident.relapses):
        return replace(incident, quiet_since=quiet_since, recovered_at=now, told_at=now), "recovered"
    return replace(incident, quiet_since=quiet_since), None


def _open(former: Incident | None, alert: Alert | None, now: datetime) -> tuple[Incident | None, Kind | None]:
    if alert is None:
        return former, None
    is_back = former is not None and former.recovered_at is not None and now - former.recovered_at <= MEMORY
    return Incident(alert, opened_at=now, told_at=now, relapses=former.relapses + 1 if former and is_back else 0), "opened"


def _remind(incident: Incident, now: datetime, pace: Pace) -> tuple[Incident, Kind | None]:
    if now - incident.told_at < pace.next_reminder(incident.reminders):
        return incident, None
    return replace(incident, told_at=now, reminders=incident.reminders + 1), "reminder"
