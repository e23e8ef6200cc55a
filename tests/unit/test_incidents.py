"""The life of an incident: told once, reminded of ever more rarely, over once; what flaps is one incident."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglake.alerts.incidents import LONGEST_REMINDER, Alert, Incident, Message, Pace, step
from loglake.alerts.messages import word

pytestmark = pytest.mark.unit

START = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PACE = Pace(first_quiet=5 * MINUTE, quiet=5 * MINUTE, reminder=60 * MINUTE)
ALERT = Alert("lag", "The stream lags behind", "warning", "lag", "7 records in Kafka are not in the lake")


def play(pattern: str, pace: Pace = PACE) -> tuple[list[tuple[int, str]], dict[str, Incident]]:
    """Minute by minute: `x` fires, `.` is quiet, `?` cannot be judged. The messages (minute, kind), and what is known at the end."""
    known: dict[str, Incident] = {}
    told: list[tuple[int, str]] = []
    for minute, sign in enumerate(pattern):
        alerts = [ALERT] if sign == "x" else []
        after, messages = step(known, alerts, ["lag"] if sign == "?" else [], START + minute * MINUTE, pace)
        known |= {incident.alert.key: incident for incident in after}
        told += [(minute, message.kind) for message in messages]
    return told, known


def test_it_is_told_once_and_its_end_once() -> None:
    assert play("..xxx......")[0] == [(2, "opened"), (10, "recovered")]


def test_a_blip_of_quiet_is_no_end() -> None:
    assert play("xxx..xxx....")[0] == [(0, "opened")]


def test_after_a_relapse_it_must_be_quiet_for_twice_as_long() -> None:
    assert play("x.x" + "." * 20)[0] == [(0, "opened"), (13, "recovered")]


def test_reminders_grow_further_apart_up_to_a_day() -> None:
    told, _ = play("x" * 6 * 24 * 60)
    reminders = [minute for minute, kind in told if kind == "reminder"]
    gaps = [after - before for before, after in zip([0, *reminders], reminders, strict=False)]
    assert gaps == [60, 120, 240, 480, 960, 1440, 1440, 1440, 1440]
    assert LONGEST_REMINDER == 1440 * MINUTE


def test_what_cannot_be_judged_is_neither_over_nor_forgotten() -> None:
    assert play("x" + "?" * 70)[0] == [(0, "opened"), (60, "reminder")]
    assert play("?" * 10)[0] == []
    # quiet before and after count together, and nobody is reminded of what was quiet
    assert play("x.." + "?" * 70 + ".")[0] == [(0, "opened"), (73, "recovered")]


def test_flapping_for_a_day_is_a_handful_of_messages() -> None:
    told, _ = play(("xx" + "." * 8) * 6 * 24)
    assert len(told) <= 14
    assert len([kind for _, kind in told if kind == "recovered"]) <= 3


def test_what_comes_back_much_later_is_a_new_incident_with_the_short_quiet() -> None:
    told, _ = play("x" + "." * 200 + "x" + "." * 5)
    assert told == [(0, "opened"), (6, "recovered"), (201, "opened")]
    assert play("x" + "." * 200 + "x" + "." * 6)[0][-1] == (207, "recovered")


def test_a_run_that_succeeds_ends_the_incident_at_once() -> None:
    pace = PACE._replace(first_quiet=timedelta(0))
    assert play("x?????????.", pace)[0] == [(0, "opened"), (10, "recovered")]


def test_nothing_changes_when_nothing_is_new() -> None:
    known = {"lag": Incident(ALERT, opened_at=START, told_at=START)}
    assert step(known, [ALERT], [], START + MINUTE, PACE) == ([], [])


@given(st.text("x.?", max_size=400))
def test_messages_alternate_and_end_as_the_incident_stands(pattern: str) -> None:
    told, known = play(pattern)
    kinds = [kind for _, kind in told if kind != "reminder"]
    assert kinds == ["opened", "recovered"] * (len(kinds) // 2) + ["opened"] * (len(kinds) % 2)
    assert len(kinds) % 2 == sum(incident.recovered_at is None for incident in known.values())
    assert ("x" in pattern) == bool(told)
    for _, kind in told[:1]:
        assert kind == "opened"


@given(st.text("x.", min_size=60, max_size=600))
def test_however_it_flaps_there_are_few_messages(pattern: str) -> None:
    # Two messages for each end; an end takes 5, 10, 20 … 60 minutes of quiet, as long as it comes back within two hours.
    told, _ = play(pattern)
    assert len(told) <= 2 + len(pattern) // 12


def test_the_words_of_each_message() -> None:
    incident = Incident(ALERT, opened_at=START, told_at=START + 65 * MINUTE, relapses=2)
    advice = (
        "What to do: look whether it shrinks: `loglake alerts`; a stream that is alive catches up by itself. Runbook: docs/alerts.md#lag"
    )
    opened, reminder, recovered = (word(Message(kind, incident)) for kind in ("opened", "reminder", "recovered"))  # type: ignore[arg-type]
    assert opened.subject == "PROBLEM: The stream lags behind"
    assert opened.body == f"7 records in Kafka are not in the lake\n{advice}"
    assert reminder.subject == "STILL: The stream lags behind"
    assert reminder.body == (
        f"7 records in Kafka are not in the lake\nOpen for 1 h 5 min, since 2026-03-04 12:00 UTC; it came back 2 times.\n{advice}"
    )
    assert recovered.subject == "OK AGAIN: The stream lags behind"
    assert recovered.body == "After 1 h 5 min, since 2026-03-04 12:00 UTC. It was: 7 records in Kafka are not in the lake"
