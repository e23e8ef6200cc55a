"""UUIDv7 (RFC 9562): 48 bits of milliseconds, then 74 bits that the caller draws or derives."""

from datetime import UTC, datetime, timedelta

RANDOM_BITS = 74
_LOW_BITS = 62
_EPOCH = datetime.fromtimestamp(0, UTC)
_MILLISECOND = timedelta(milliseconds=1)


def milliseconds(moment: datetime) -> int:
    """Whole Unix milliseconds of an aware time, rounded down, as a UUIDv7 counts them."""
    return (moment - _EPOCH) // _MILLISECOND


def uuid7(milliseconds: int, bits: int) -> str:
    """The canonical lower-case text of a UUIDv7 of this moment (Unix milliseconds); only the low 74 of `bits` are used."""
    high = (bits >> _LOW_BITS) & 0xFFF
    low = 0x8000_0000_0000_0000 | (bits & 0x3FFF_FFFF_FFFF_FFFF)
    text = f"{milliseconds:012x}7{high:03x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def moved(event_id: str, milliseconds: int) -> str:
    """The same UUIDv7 with another moment: its random part is kept."""
    stamp = f"{milliseconds:012x}"
    return f"{stamp[:8]}-{stamp[8:]}{event_id[13:]}"
