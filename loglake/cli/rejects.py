"""`loglake rejects`: rejected records listed, grouped and shown, replayed after a fix, or given up."""

import json
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column, Table

from loglake.cli.chosen import Chosen, taking
from loglake.cli.console import out
from loglake.errors import BadInputError

if TYPE_CHECKING:
    from loglake.rejects import Rejected

app = typer.Typer(no_args_is_help=True, help="Rejected records: list, group and show them, replay them after a fix, or give them up.")

AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command("list")
@taking()
def list_rejects(
    chosen: Chosen,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """The newest rejected records, and what has become of each."""
    from loglake import clients, rejects

    selection = chosen.selection(rejects.STATES)
    with clients.postgres("monitor") as connection:
        found = rejects.listed(connection, selection, limit)
    if as_json:
        _print_json([record.as_dict() for record in found])
        return
    table = Table("position", "received (UTC)", "state", "why", box=None, pad_edge=False)
    for record in found:
        table.add_row(rejects.show_position(record.position), f"{record.kafka_timestamp:%Y-%m-%d %H:%M:%S}", _state(record), _short(record))
    _print_table(table, found)


@app.command()
@taking(without=["offsets"])
def group(chosen: Chosen, as_json: AsJson = False) -> None:
    """Rejected records by the code of their reason: how many, how many of them open, first and last seen, and one of them."""
    from loglake import clients, rejects

    selection = chosen.selection(rejects.STATES)
    with clients.postgres("monitor") as connection:
        found = rejects.groups(connection, selection)
    if as_json:
        _print_json(found)
        return
    right = [Column(name, justify="right") for name in ("records", "open")]
    table = Table("reason", *right, "first seen (UTC)", "last seen (UTC)", "one of them", box=None, pad_edge=False)
    for row in found:
        seen = [f"{row[name]:%Y-%m-%d %H:%M:%S}" for name in ("first_seen", "last_seen")]
        table.add_row(row["code"], f"{row['records']:,}", f"{row['open']:,}", *seen, row["sample"])
    _print_table(table, found)


@app.command()
def show(
    position: Annotated[str, typer.Argument(metavar="POSITION", help="TOPIC/PARTITION/OFFSET, as `list` shows it.")],
    payload: Annotated[bool, typer.Option("--payload", help="The untouched bytes and nothing else.")] = False,
    as_json: AsJson = False,
) -> None:
    """One rejected record: why and when, what has become of it, what this release says of it, and its bytes."""
    from loglake import clients, rejects

    with clients.postgres("monitor") as connection:
        record = rejects.one(connection, rejects.parse_position(position))
    if payload:
        sys.stdout.buffer.write(record.payload or b"")
        return
    details = {**record.as_dict(), "now": rejects.verdict(record.payload) or "it would pass"}
    if as_json:
        _print_json({**details, "payload": rejects.readable(record.payload)})
        return
    for name, value in details.items():
        if value is not None:
            out.print(f"{name.replace('_', ' '):<16} {value}", markup=False)
    out.print(f"\n{rejects.readable(record.payload)}", markup=False)


@app.command()
@taking()
def replay(
    chosen: Chosen,
    fix: Annotated[Path | None, typer.Option("--fix", metavar="FILE", help="A fix: YAML that says what to rename, set, convert …")] = None,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who replays, for the books.")] = "loglake rejects",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing: say how many would pass, and why others would not.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send rejected records again that pass by now, as they are or after a fix; without `--state` those that are open.

    What passes becomes an event of the topic, under the same id however often it is sent. Try a fix first:

    `loglake rejects replay --code wrong_type --fix latency.yaml --dry-run`
    """
    from producers.fix import load_fix
    from producers.replay_rejects import WAITING, run

    selection = chosen.selection(WAITING)
    result = run(selection, load_fix(fix) if fix else None, by, dry_run=dry_run)
    out.print(result.as_json() if as_json else result.note, markup=False)


@app.command("give-up")
@taking(without=["state"])
def give_up(
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why nothing more will be done about them.")],
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who decides it.")],
    chosen: Chosen,
    everything: Annotated[bool, typer.Option("--all", help="All that are open.")] = False,
) -> None:
    """Note of open records that nothing more will be done about them, why, and who says so. They stay in lake and raw."""
    from loglake import clients, rejects, resolutions

    selection = chosen.selection((rejects.OPEN, rejects.REPLAYING, rejects.REJECTED_AGAIN))
    if selection.is_everything and not everything:
        raise BadInputError("give-up: say which (--code, --offsets, --from …), or --all")
    if not reason.strip() or not by.strip():
        raise BadInputError("give-up: --reason and --by must not be empty")
    with clients.postgres("loader") as connection:
        resolutions.only_repair(connection)
        number = 0
        for page in rejects.pages(connection, selection):
            resolutions.give_up(connection, [record.position for record in page], resolutions.Note(reason, by, secrets.token_hex(4)))
            number += len(page)
    out.print(f"{number:,} rejected records are given up")


def _state(record: "Rejected") -> str:
    return f"{record.state}, {'arrived' if record.arrived else 'under way'}" if record.state == "replayed" else record.state


def _short(record: "Rejected") -> str:
    reason = record.reject_reason
    return reason if len(reason) <= 90 else f"{reason[:89]}…"


def _print_json(found: Any) -> None:
    out.print(json.dumps(found, default=lambda value: value.isoformat()), markup=False)


def _print_table(table: Table, found: list[Any]) -> None:
    if found:
        out.print(table)
    else:
        out.print("no rejected record is meant")
