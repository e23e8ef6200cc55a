"""Commands that make events: generate, pools."""

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from loglake.cli.console import err, out
from loglake.errors import BadInputError
from loglake.settings import settings

if TYPE_CHECKING:
    from producers.generate import Plan, Summary
    from producers.pools import Recipe

app = typer.Typer()
_UNITS = {"": "seconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

Users = Annotated[int | None, typer.Option(help="Users in the pool.", show_default="2000")]
Products = Annotated[int | None, typer.Option(help="Products in the pool.", show_default="500")]
Locales = Annotated[
    list[str] | None,
    typer.Option("--locale", help="Faker locale of the users, such as de_DE; may be repeated.", show_default="a mix of 16"),
]


@app.command()
def generate(
    *,
    count: Annotated[
        int | None, typer.Option(help="Events to send; resent records come on top.", show_default="10000 when no rate is given")
    ] = None,
    duration: Annotated[str | None, typer.Option(help="Send for this long: 60s, 5m, 2h.")] = None,
    rate: Annotated[
        float | None, typer.Option(help="Events a second, sent as they happen. Without it: the past hours, as fast as Kafka takes them.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="The same seed and start give the same events.", show_default="drawn, and told at the end")
    ] = None,
    start: Annotated[str | None, typer.Option(help="When the first event happens, ISO 8601, UTC when it names no zone.")] = None,
    late: Annotated[float, typer.Option(help="Share of events sent long after they happened.")] = 0.0,
    late_days: Annotated[float, typer.Option(help="How late at most, in days.")] = 3.0,
    resent: Annotated[float, typer.Option(help="Share of events that are sent again.")] = 0.0,
    malformed: Annotated[float, typer.Option(help="Share of records that are no events.")] = 0.0,
    unknown_version: Annotated[float, typer.Option(help="Share of events of a contract version nobody knows.")] = 0.0,
    ledger: Annotated[Path | None, typer.Option(help="Note the fate of every record in this NDJSON file.")] = None,
    topic: Annotated[str | None, typer.Option(help="Topic to send to.", show_default="LOGLAKE_KAFKA_TOPIC")] = None,
    users: Users = None,
    products: Products = None,
    locale: Locales = None,
) -> None:
    """Send generated shop events to Kafka, with flaws in the shares you ask for.

    `loglake generate --count 100000 --late 0.02 --resent 0.02 --malformed 0.01 --ledger sent.ndjson` sends the past hours at once;
    `loglake generate --rate 200` goes on in real time until Ctrl-C or SIGTERM. Exit code 1 when a record was not acknowledged.
    """
    from producers.flaws import Flaws
    from producers.generate import Plan

    plan = Plan(
        count=count,
        duration=_duration(duration),
        rate=rate,
        seed=seed,
        start=_moment(start),
        flaws=Flaws(late, late_days, resent, malformed, unknown_version),
        pools=_recipe(users, products, locale),
    )
    summary = run_plan(plan, topic=topic, ledger=ledger)
    out.print(str(summary))
    if not summary.stats.complete:
        raise typer.Exit(1)


def run_plan(plan: "Plan", topic: str | None = None, ledger: Path | None = None) -> "Summary":
    """Generate with a progress bar; SIGTERM and SIGINT stop it in order meanwhile."""
    from producers.generate import DEFAULT_COUNT
    from producers.generate import generate as publish

    total = plan.count or (DEFAULT_COUNT if plan.rate is None and plan.duration is None else None)
    columns = (SpinnerColumn(), TextColumn("generate"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar, stop_on_signal() as stop:
        task = bar.add_task("generate", total=total)
        return publish(plan, topic=topic, ledger=ledger, stop=stop, progress=lambda done: bar.update(task, completed=done))


@app.command()
def pools(users: Users = None, products: Products = None, locale: Locales = None) -> None:
    """Make the pools of users and products anew. `loglake generate` makes them on first use."""
    from producers.pools import write

    folder = settings().runtime.runtime_dir / "pools"
    made = write(folder, _recipe(users, products, locale))
    out.print(f"{len(made.users):,} users of {len(made.cities)} countries and {len(made.products):,} products in {folder}")


def _recipe(users: int | None, products: int | None, locales: list[str] | None) -> "Recipe":
    from producers.pools import Recipe

    given = {"users": users, "products": products, "locales": tuple(locales) if locales else None}
    return Recipe(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set, so that what was sent is still acknowledged and told."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _duration(text: str | None) -> timedelta | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip())
    if match is None:
        raise BadInputError(f"--duration {text!r} is no duration: write 60s, 5m, 2h or 1d")
    return timedelta(**{_UNITS[match[2]]: float(match[1])})


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInputError(f"--start {text!r} is no ISO 8601 time: write 2026-01-31T08:00:00+00:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
