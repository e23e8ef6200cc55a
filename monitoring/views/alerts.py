"""Alerts: every rule with its present value, thresholds that can be changed, incidents, messages, and a test message."""

import subprocess
import sys
from pathlib import Path

import streamlit as st

from loglake.alerts import channels, thresholds
from loglake.errors import LoglakeError
from loglake.settings import PROJECT, settings
from monitoring import alert_rows, parts, text
from monitoring.database import database
from monitoring.filters import Filter
from monitoring.looking import judged, look
from monitoring.queries import alerts
from monitoring.reading import read

choice: Filter = st.session_state["choice"]
every = max(settings().monitor.refresh_seconds, 10)
_COLOURS = {"firing": "red", "unknown": "orange", "ok": "green"}
_TEST_SECONDS = 60

parts.title("Alerts", choice, what="The rules that Airflow judges every minute, and what came of them")


@st.fragment(run_every=every)
def rules() -> None:
    with parts.guarded("The rules"):
        changed = _changed()
        seen = look()
        if seen.rules is None:
            st.error(f"The rules cannot be judged: {parts.plain(seen.reason('rules'))}", icon=":material/cloud_off:")
            return
        verdicts = judged(seen.rules, changed)
        found = alert_rows.counts(verdicts)
        st.markdown(" ".join(f":{_COLOURS[state]}-badge[{number} {state}]" for state, number in found.items() if number))
        frame = alert_rows.rows(verdicts, changed)
        with parts.card("Rules", frame, "alert-rules", choice, note="What each means and what to do: docs/alerts.md"):
            parts.text_table(frame, {"state": "State", "rule": "Rule", "severity": "Severity", "limit": "Fires at", "now": "Now"})


def _changed() -> dict[str, float]:
    """Asked each time, so that a change is seen at once."""
    return alert_rows.changed(database().ask(alerts.THRESHOLDS, {}))


@st.fragment
def edit() -> None:
    left, right = st.columns([2, 3])
    with (
        left,
        parts.guarded("The thresholds"),
        parts.card("Change a threshold", note="Kept in Postgres; Airflow and the command line judge by it too"),
    ):
        changed = _changed()
        name = st.selectbox("Rule", list(thresholds.RULE_OF), format_func=lambda one: thresholds.RULE_OF[one].title, key="threshold")
        rule = thresholds.RULE_OF[name]
        config = settings().alerts
        now, set_to = rule.limit(thresholds.effective(config, changed)), rule.limit(config)
        meaning = f"{rule.meaning[:1].upper()}{rule.meaning[1:]}"
        st.caption(parts.plain(f"{meaning}. Setting: {alert_rows.limit(rule, set_to)}. In force: {alert_rows.limit(rule, now)}."))
        with st.form("threshold-form", border=False):
            value = st.number_input(f"New limit ({rule.unit})", value=float(now), format="%g", key=f"value-{name}-{now}")
            who = st.text_input("Your name", max_chars=thresholds.LONGEST_NAME, key="who", help="Noted with the change")
            with st.container(horizontal=True):
                saved = st.form_submit_button("Save", type="primary", icon=":material/save:")
                reset = st.form_submit_button("Back to the setting", icon=":material/undo:", disabled=name not in changed)
        if saved or reset:
            _save(name, None if reset else value, who)
        if said := st.session_state.pop("threshold_said", None):
            st.success(said, icon=":material/check:")
    with right, parts.guarded("The changes"):
        frame = database().ask(alerts.CHANGES, {})
        with parts.card("Changes", frame, "threshold-changes", choice):
            if frame.empty:
                parts.empty("No threshold was changed", "All are as the settings say.")
            else:
                shown = frame.assign(
                    rule=[thresholds.RULE_OF[one].title if one in thresholds.RULE_OF else one for one in frame["name"]],
                    value=[_amount(one, value) for one, value in zip(frame["name"], frame["value"], strict=True)],
                )
                parts.table(
                    shown,
                    "changes",
                    "Who changed which threshold to what, and when",
                    {
                        "set_at": st.column_config.DatetimeColumn("When", format="YYYY-MM-DD HH:mm", timezone="UTC"),
                        "set_by": "Who",
                        "rule": "Rule",
                        "value": "To",
                        "name": None,
                    },
                    height=parts.of_rows(9),
                )


def _amount(name: str, value: float | None) -> str:
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return "the setting"
    rule = thresholds.RULE_OF.get(name)
    return alert_rows.amount(rule, value) if rule else f"{value:g}"


def _save(name: str, value: float | None, who: str) -> None:
    try:
        database().change_threshold(name, value, who)
    except LoglakeError as error:
        st.error(parts.plain(str(error)), icon=":material/error:")
        return
    rule = thresholds.RULE_OF[name]
    st.session_state["threshold_said"] = parts.plain(f"{rule.title}: now {_amount(name, value)}")
    st.rerun()


@st.fragment(run_every=every)
def incidents() -> None:
    with parts.guarded("The incidents"):
        frame = read(alerts.INCIDENTS)
        with parts.card("Incidents", frame, "incidents", choice, note="Open ones first"):
            if frame.empty:
                parts.empty("No incident yet")
                return
            shown = frame.assign(
                state=["open" if missing else "over" for missing in frame["recovered_at"].isna()],
                lasted=[text.span(seconds) for seconds in frame["seconds"]],
            )
            columns = {
                "state": st.column_config.TextColumn("State", width="small"),
                "title": "Incident",
                "severity": "Severity",
                "opened_at": st.column_config.DatetimeColumn("Opened", format="YYYY-MM-DD HH:mm", timezone="UTC"),
                "lasted": "Lasted",
                "detail": st.column_config.TextColumn("Detail", width="large"),
                "recovered_at": None,
                "seconds": None,
                "reminders": None,
                "relapses": None,
                "anchor": None,
            }
            order = ["state", "title", "severity", "opened_at", "lasted", "detail"]
            parts.table(
                shown[order], "incidents", "Incidents with their state, severity, time and detail", {name: columns[name] for name in order}
            )


@st.fragment
def messages() -> None:
    left, right = st.columns([3, 2])
    with left, parts.guarded("The messages"):
        frame = read(alerts.MESSAGES)
        with parts.card("Messages", frame, "messages", choice):
            if frame.empty:
                parts.empty("Nobody was told anything yet")
            else:
                parts.table(
                    frame,
                    "messages",
                    "Messages and their deliveries",
                    {
                        "created_at": st.column_config.DatetimeColumn("When", format="YYYY-MM-DD HH:mm", timezone="UTC"),
                        "subject": "Message",
                        "deliveries": st.column_config.TextColumn("Delivered", width="medium"),
                    },
                )
    with right, parts.card("Test message", note="Sends a message that says it is a test"):
        available = channels.configured()
        if not available:
            st.caption("No channel is set up: docs/alerts.md says how to set up Slack and e-mail.")
        for channel in available:
            if st.button(f"Send a test to {channel}", key=f"test-{channel}", icon=":material/send:"):
                _send_test(channel)


def _send_test(channel: str) -> None:
    """By the command line, as a process of its own: the channels' clients come with Airflow, which would treble this one's memory."""
    command = [str(Path(sys.executable).with_name("loglake")), "alerts", "--test", channel]
    with st.spinner("Sending …"):
        try:
            done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=_TEST_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            st.error(f"No answer within {_TEST_SECONDS} s", icon=":material/timer_off:")
            return
    said = parts.plain(" ".join((done.stdout if done.returncode == 0 else done.stderr).split())[-400:])
    if done.returncode == 0:
        st.success(said, icon=":material/check:")
    else:
        st.error(said, icon=":material/error:")


rules()
edit()
incidents()
messages()
