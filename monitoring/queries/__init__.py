"""Every question that the monitor asks Postgres: SQL constants, each with a bound on its rows; values go in as bound parameters only.

Asked through `monitoring.database`, as the role `monitor`, which only reads, and with a statement timeout.
"""

from dataclasses import dataclass
from typing import LiteralString


@dataclass(frozen=True)
class Query:
    """A question: its text, which must end its rows with `limit %(rows)s`, and whether what it reads changes with each load only."""

    name: str
    text: LiteralString
    rows: int
    settled: bool = False
