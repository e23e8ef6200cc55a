"""The books, checked for the end point. Run as `python -m loglake.metrics.audit`: one JSON object on standard output.

As `loglake reconcile`, but for the lake's rows: of them the snapshot's summary is taken, so the cost is that of counting raw. A process
of its own, as it needs PyIceberg and Arrow, which would double the end point's memory.
"""

import json
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from loglake import books, clients
from loglake.balance import balance
from loglake.decode import REASONS

_REASONS = "select split_part(reject_reason, ':', 1), count(*) from raw.rejected_events group by 1"


def check() -> dict[str, Any]:
    """What `facts.Audit` holds, as JSON knows it."""
    result = balance(books.gather(read_lake=False))
    with clients.postgres("monitor") as connection:
        counted = connection.execute(_REASONS).fetchall()
    facts, loaded = result.facts, result.facts.loaded
    rows = {
        "lake": facts.lake.good + facts.lake.rejected,
        "read": loaded.rows_read,
        "inserted": loaded.rows_inserted,
        "duplicate": loaded.rows_duplicate,
        "rejected": loaded.rows_rejected,
        "log_events": facts.raw_events,
        "rejected_events": facts.raw_rejected,
        **{name: count for name, count in facts.marts.items() if count is not None},
    }
    return {
        "checked_at": datetime.now(UTC).timestamp(),
        "findings": result.findings,
        "rows": rows,
        "rejects": by_code(dict(counted)),
    }


def by_code(counted: dict[str, int]) -> dict[str, int]:
    """Rejects by the codes of the decoder, 0 included; what is none of them is `other`, so that the label stays bounded."""
    found = Counter(dict.fromkeys([*REASONS, "other"], 0))
    for code, rows in counted.items():
        found[code if code in REASONS else "other"] += rows
    return dict(found)


def main() -> None:
    try:
        found = check()
    except clients.ERRORS as error:
        sys.exit(f"the books cannot be checked: {clients.one_line(error)}")
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main()
