"""`loglake backfill`: what lake or raw lack of a range of time."""

from enum import StrEnum
from typing import Annotated

import typer

from loglake.cli.console import out

app = typer.Typer()


class Source(StrEnum):
    """Where a backfill reads."""

    LAKE = "lake"
    KAFKA = "kafka"


@app.command()
def backfill(
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="When Kafka received the first record: UTC, in ISO 8601.")],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="Up to and without this moment.")],
    source: Annotated[Source, typer.Option("--source", help="lake: what raw lacks of it. kafka: what the lake lacks of it.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing: say what lacks.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as one line of JSON.")] = False,
) -> None:
    """Bring what lacks of a range of time, and nothing twice: raw from the lake, or the lake from Kafka.

    `loglake backfill --source lake --from 2026-03-04T12:00:00Z --to 2026-03-04T13:00:00Z`
    """
    from loglake import timerange

    received = timerange.parse_closed(start, end)
    if source is Source.LAKE:
        from spark_jobs.backfill import run as from_lake

        done = from_lake(*received, dry_run=dry_run)
        note, line = done.note, done.as_json()
    else:
        from consumers.backfill import run as from_kafka

        brought = from_kafka(*received, dry_run=dry_run)
        note, line = brought.note, brought.as_json()
    out.print(line if as_json else note, markup=False)
