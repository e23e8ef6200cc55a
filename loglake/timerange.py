"""A range of time as an operator names it: from a moment up to, and without, another; each may be left out."""

import argparse
from dataclasses import dataclass
from datetime import UTC, datetime

from loglake.errors import BadInputError

_EXAMPLE = "2026-03-04T12:30:00Z"


@dataclass(frozen=True)
class TimeRange:
    """Moments `start` <= moment < `end`, both aware; None leaves that side open."""

    start: datetime | None = None
    end: datetime | None = None


def parser(description: str, *, required: bool) -> argparse.ArgumentParser:
    """The command line of a job on a range of time: the texts `start` and `end`, for `parse`, and `dry_run`."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--from", dest="start", required=required, help="when Kafka received the first record (ISO 8601, UTC)")
    made.add_argument("--to", dest="end", required=required, help="up to and without this moment")
    made.add_argument("--dry-run", action="store_true", help="change nothing, only say what would be done")
    return made


def parse(start: str | None, end: str | None) -> TimeRange:
    """The range of two ISO 8601 texts; one without a zone is UTC. BadInputError names the option that is wrong."""
    found = TimeRange(_moment("from", start), _moment("to", end))
    if found.start is not None and found.end is not None and found.start >= found.end:
        raise BadInputError(f"from {start} is not before to {end}")
    return found


def parse_closed(start: str | None, end: str | None) -> tuple[datetime, datetime]:
    """The same where both moments are needed."""
    found = parse(start, end)
    if found.start is None or found.end is None:
        raise BadInputError(f"from and to are both needed, as UTC in ISO 8601, {_EXAMPLE} say")
    return found.start, found.end


def _moment(name: str, text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInputError(f"{name} {text!r} is no time in ISO 8601: write it as {_EXAMPLE}") from error
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
