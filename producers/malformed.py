"""Records that must be rejected: for each code of `loglake.decode.REASONS`, ways to make one out of a good event."""

import random
from collections.abc import Callable

import msgspec

from loglake import events
from loglake.events import Event
from producers.record import MALFORMED, UNKNOWN_VERSION, Record

#: A version no release will read for a long time.
_FUTURE_VERSION = 999
#: Too large ones weigh half a megabyte each, so they are rarer than the others.
_TOO_LARGE_WEIGHT = 0.05

_Document = dict[str, object]
_Edit = Callable[[_Document], object]


def _with_service(text: bytes) -> Callable[[bytes], bytes]:
    """Put raw bytes into a text every event has."""
    return lambda payload: payload.replace(b'"service":"', b'"service":"' + text, 1)


def _edited(edit: _Edit) -> Callable[[bytes], bytes]:
    def apply(payload: bytes) -> bytes:
        document: _Document = msgspec.json.decode(payload)
        edit(document)
        return msgspec.json.encode(document)

    return apply


def _set(name: str, value: object) -> Callable[[bytes], bytes]:
    return _edited(lambda document: document.update({name: value}))


def _without(name: str) -> Callable[[bytes], bytes]:
    return _edited(lambda document: document.pop(name))


def _price(price: str) -> Callable[[bytes], bytes]:
    return _set("product", {"product_id": "p00001", "price": price})


def _cut(payload: bytes) -> bytes:
    """What a sender leaves that dies in the middle; cut in the ASCII part, so that it is still UTF-8."""
    return payload[: payload.index(b'"session_id"')]


#: How to spoil the JSON of a good event, by the code it is then rejected with.
SPOILED: dict[str, tuple[Callable[[bytes], bytes], ...]] = {
    "empty": (lambda _: b"", lambda _: b" \n"),
    "not_utf8": (_with_service(b"\xff\xfe"), _with_service("Zürich".encode("latin-1")), lambda payload: payload.decode().encode("utf-16")),
    "not_json": (_cut, lambda payload: payload + b"}", lambda payload: payload.replace(b'"', b"'"), lambda _: b"GET / HTTP/1.1"),
    "not_an_object": (lambda payload: b"[" + payload + b"]", lambda _: b"null", lambda _: b'"login"', lambda _: b"42"),
    "duplicate_key": (lambda payload: payload[:-1] + b',"level":"INFO"}', lambda payload: b'{"service":"web",' + payload[1:]),
    "nul_character": (_with_service(b"\\u0000"), _with_service(b"we\\u0000b")),
    "lone_surrogate": (_with_service(b"\\ud800"), _with_service(b"\\udfff")),
    "unknown_type": (_set("event_type", "page_scroll"), _set("event_type", "LOGIN")),
    "missing_field": tuple(_without(name) for name in ("event_id", "schema_version", "event_type", "event_ts", "session_id")),
    "wrong_type": (
        _set("service", 5),
        _set("latency_ms", "fast"),
        _set("event_ts", "yesterday"),
        _set("event_ts", "2026-01-01T12:00:00"),  # no time zone
        _set("event_id", "42"),
        _set("device", ["mobile"]),
    ),
    "out_of_range": (_set("status_code", 9999), _set("latency_ms", -1), _set("level", "LOUD"), _set("session_id", "x" * 200)),
    "impossible_time": (
        _set("event_ts", "1969-07-20T20:17:40Z"),
        _set("event_ts", "2999-01-01T00:00:00Z"),
        _set("sent_at", "1999-12-31T23:59:59Z"),
    ),
    "impossible_amount": (_price("-5.00"), _price("19.999"), _price("99999999999.00")),
}
CODES = ("null_value", "too_large", *SPOILED)
_WEIGHTS = [_TOO_LARGE_WEIGHT if code == "too_large" else 1 for code in CODES]


def malformed(event: Event, rng: random.Random, max_payload_bytes: int) -> Record:
    """A record of a code drawn by `rng`, in place of the event; `max_payload_bytes` is the size from which on a value is rejected."""
    code = rng.choices(CODES, _WEIGHTS)[0]
    return Record(event.session_id.encode(), spoiled(code, event, rng, max_payload_bytes), f"{MALFORMED}{code}")


def unknown_version(event: Event) -> Record:
    """The event as a later contract would say it."""
    value = _edited(lambda document: document.update(schema_version=_FUTURE_VERSION, loyalty={"tier": "gold"}))(events.encode(event))
    return Record(event.session_id.encode(), value, UNKNOWN_VERSION)


def spoiled(code: str, event: Event, rng: random.Random, max_payload_bytes: int) -> bytes | None:
    """The value of a record that is rejected with one of CODES, made out of a good event."""
    if code == "null_value":
        return None
    payload = events.encode(event)
    if code == "too_large":
        return payload[:-1] + b" " * (max_payload_bytes + 1 - len(payload)) + b" }"
    return rng.choice(SPOILED[code])(payload)
