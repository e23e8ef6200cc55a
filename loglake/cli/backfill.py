"""`loglake backfill`: what lake or raw lack of a range of time."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from loglake.cli.console import out

if TYPE_CHECKING:
    from loglake.jobs import Result

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

        result: Result = from_lake(*received, dry_run=dry_run)
    else:
        from consumers.backfill import run as from_kafka

        result = from_kafka(*received, dry_run=dry_run)
    out.print(result.as_json() if as_json else result.note, markup=False)
