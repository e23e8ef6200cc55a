"""One Kafka record on its way out, labelled with the truth about it, so that a ledger can later say what must come out."""

from msgspec import Struct

from loglake import events
from loglake.events import Event

#: Labels of records that are events. `resent` repeats an event sent before; `late` is sent long after it happened.
GOOD, LATE, RESENT = "good", "late", "resent"
#: Labels of records that must be rejected: `malformed:<code of loglake.decode.REASONS>`, or a contract version nobody knows.
MALFORMED, UNKNOWN_VERSION = "malformed:", "unknown_version"
EVENT_LABELS = frozenset({GOOD, LATE, RESENT})


class Record(Struct, frozen=True, gc=False):
    """Key and value as Kafka gets them; `event` is what the value says, None when it is no event of the contract."""

    key: bytes | None
    value: bytes | None
    label: str = GOOD
    event: Event | None = None


def record_of(event: Event, label: str = GOOD) -> Record:
    """The record of an event, keyed by its session; ValueError or TypeError when it cannot be written as JSON."""
    return Record(event.session_id.encode(), events.encode(event), label, event)
