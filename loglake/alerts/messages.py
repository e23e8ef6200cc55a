"""How messages are worded: a subject of one line and a body of a few. Plain text; each channel dresses it its own way."""

from datetime import datetime, timedelta

from loglake.alerts.incidents import Alert, Incident, Message
from loglake.alerts.rules import Verdict
from loglake.alerts.runbook import advice
from loglake.alerts.store import Text

_WORDS = {"opened": "PROBLEM", "reminder": "STILL", "recovered": "OK AGAIN"}


def alert_of(verdict: Verdict) -> Alert:
    """A verdict that fires, as an alert."""
    rule = verdict.rule
    limit = f" (limit: {verdict.limit:,.10g} {rule.unit})" if rule.threshold else ""
    return Alert(verdict.key, verdict.title, rule.severity, rule.anchor, f"{verdict.detail}{limit}")


def word(message: Message) -> Text:
    """A message about an incident."""
    incident = message.incident
    alert = incident.alert
    subject = f"{_WORDS[message.kind]}: {alert.title}"
    if message.kind == "recovered":
        body = f"After {span(incident.told_at - incident.opened_at)}, since {moment(incident.opened_at)}. It was: {alert.detail}"
        return Text(message.kind, subject, body)
    lines = [alert.detail]
    if message.kind == "reminder":
        lines.append(f"Open for {span(incident.told_at - incident.opened_at)}, since {moment(incident.opened_at)}{_relapses(incident)}.")
    return Text(message.kind, subject, "\n".join([*lines, f"What to do: {advice(alert.anchor)}"]))


def _relapses(incident: Incident) -> str:
    return f"; it came back {incident.relapses} times" if incident.relapses else ""


def moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"


def span(length: timedelta) -> str:
    """A length of time in its two largest units, e.g. 2 h 5 min."""
    minutes = int(length.total_seconds()) // 60
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else "less than a minute"
