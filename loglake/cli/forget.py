"""`loglake forget`: erase a person from lake and warehouse, and say what was done and what remains."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from loglake.cli.console import err, out
from loglake.errors import BadInputError

if TYPE_CHECKING:
    from spark_jobs.forget import Forgotten

app = typer.Typer()
_REMAINS = (
    "The topic keeps the records {until}; a rebuild of the lake from it would bring them back.",
    "Files that were replayed, the generator's ledgers, backups and copies of the marts are not loglake's to erase: "
    "who replays such a file again brings the person back.",
    "An event of somebody else that mentions the id in a text (an address, a search) is not this person's, and stays.",
)


@app.command()
def forget(
    user: Annotated[str, typer.Option("--user", help="The user_id of the person.", metavar="ID")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: erase.")] = False,
    lose_retired: Annotated[bool, typer.Option("--lose-retired", help="Lose the days that only the warehouse still holds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report as one line of JSON.")] = False,
) -> None:
    """Erase a person from lake and warehouse for ever, and print a report. The warehouse is rebuilt from what is left."""
    from spark_jobs.forget import run

    if not user.strip():
        raise BadInputError("--user: an empty id names nobody")
    if not yes and not typer.confirm(f"Erase user {user} from lake and warehouse? This cannot be undone", err=True):
        raise BadInputError("nothing was erased: confirm, or give --yes")
    report = run(user, lambda step: err.print(step, markup=False), lose_retired=lose_retired)
    if as_json:
        out.print("null" if report is None else report.as_json(), markup=False, soft_wrap=True)
    elif report is None:
        out.print("nothing was found: no record names this user, and no erasure waits to be finished", soft_wrap=True)
    else:
        print_report(report)


def print_report(report: "Forgotten") -> None:
    """What was erased where, then what remains."""
    table = Table("place", "what", Column("number", justify="right"), box=None, pad_edge=False)
    rows = [
        ("lake", "events that named the person", report.events),
        ("", "events of the person's sessions that named nobody", report.session_events),
        ("", "rejected records that held the id", report.rejected),
        ("", "data files written anew", report.files_rewritten),
        ("", "snapshots expired", report.snapshots_expired),
        ("", "files removed from HDFS", report.files_removed),
        ("warehouse", "rows of raw.log_events erased", report.raw_events),
        ("", "rows of raw.rejected_events erased", report.raw_rejected),
        ("", "events in the rebuilt marts", report.rebuilt.events),
    ]
    for place, what, number in rows:
        table.add_row(place, what, f"{number:,}")
    out.print(table)
    until = f"until {report.in_kafka_until:%Y-%m-%d %H:%M} UTC at the latest" if report.in_kafka_until else "for ever (retention.ms is -1)"
    for line in _REMAINS:
        out.print(f"remains: {line.format(until=until)}", markup=False, soft_wrap=True)
