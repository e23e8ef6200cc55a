"""`loglake alerts`: every rule and its state, open incidents, recent messages; and a test message."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from loglake.cli.console import err, out
from loglake.settings import export, settings

if TYPE_CHECKING:
    from loglake.alerts.incidents import Incident
    from loglake.alerts.rules import Verdict
    from loglake.alerts.store import Sent

app = typer.Typer()
_STYLE = {"ok": "green", "firing": "bold red", "unknown": "yellow"}


@app.command()
def alerts(
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
    test: Annotated[str, typer.Option(help="Send a test message, and say what the server answered.", metavar="slack|email")] = "",
    messages: Annotated[int, typer.Option(min=0, help="How many of the last messages.")] = 10,
) -> None:
    """Judge every alert rule now, and show open incidents and the last messages. Tells nobody; exit code 0 whatever is found."""
    from loglake import clients
    from loglake.alerts import channels, steps, store

    if test:
        send_test(test)
        return
    _, verdicts = steps.look()
    with clients.postgres("monitor") as connection:
        incidents, sent = store.open_incidents(connection), store.recent_messages(connection, messages)
    if as_json:
        out.print(json.dumps(as_dict(verdicts, incidents, sent, channels.configured()), default=str), markup=False)
    else:
        _print(verdicts, incidents, sent, channels.configured())


def send_test(channel: str) -> None:
    """Send a message that says it is a test; an error of its server is this command's."""
    from loglake.alerts import channels
    from loglake.alerts.store import Text

    # Airflow, whose hooks send, writes its configuration into its home when it is imported.
    export(AIRFLOW_HOME=str(settings().runtime.runtime_dir / "airflow"))
    text = Text("test", "TEST: a message from loglake", "Nothing is wrong. Somebody ran `loglake alerts --test`.")
    out.print(channels.send(channel, text), markup=False)


def as_dict(
    verdicts: "list[Verdict]", incidents: "list[Incident]", sent: "list[Sent]", channels: Iterable[str]
) -> dict[str, list[dict[str, Any]] | list[str]]:
    """What `--json` prints."""
    rules = [
        {
            "rule": verdict.rule.name,
            "subject": verdict.subject,
            "severity": verdict.rule.severity,
            "state": verdict.state,
            "value": verdict.value,
            "limit": verdict.limit,
            "unit": verdict.rule.unit,
            "detail": verdict.detail,
        }
        for verdict in verdicts
    ]
    return {
        "rules": rules,
        "incidents": [{**asdict(incident.alert), **asdict(incident), "alert": incident.alert.title} for incident in incidents],
        "messages": [message._asdict() for message in sent],
        "channels": list(channels),
    }


def print_firing() -> None:
    """A line for each rule that fires or cannot be judged, below what `loglake status` shows."""
    from loglake.alerts import steps

    for verdict in steps.look()[1]:
        if verdict.state != "ok":
            out.print(f"[{_STYLE[verdict.state]}]{verdict.state}[/] {escape(verdict.title)}: {escape(verdict.detail)}")


def _print(verdicts: "list[Verdict]", incidents: "list[Incident]", sent: "list[Sent]", channels: Iterable[str]) -> None:
    table = Table("RULE", "STATE", "LIMIT", "NOW", box=None, pad_edge=False)
    for verdict in verdicts:
        name = f"{verdict.rule.name} {verdict.subject}".rstrip()
        sign = "<" if verdict.rule.below else ">"
        limit = f"{sign} {verdict.limit:,.10g} {verdict.rule.unit}" if verdict.rule.threshold else ""
        table.add_row(escape(name), f"[{_STYLE[verdict.state]}]{verdict.state}[/]", limit, escape(verdict.detail))
    out.print(table)
    for incident in incidents:
        out.print(f"[bold red]open[/] since {incident.opened_at:%Y-%m-%d %H:%M} UTC: {escape(incident.alert.title)}")
    for message in sent:
        told = ", ".join(message.deliveries) or "no channel is set up"
        out.print(f"{message.created_at:%Y-%m-%d %H:%M} {escape(message.subject)} ({escape(told)})")
    if not list(channels):
        err.print("no channel is set up: messages are shown here and in the log only (docs/alerts.md says how)")
