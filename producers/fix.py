"""What a fix file says: how the bytes of a rejected record become an event of the contract. docs/rejects.md explains the language.

Its parts are applied in a fixed order: encoding, repeated_keys, rename, drop, values, convert, default, set, id_from_position.
"""

import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from pydantic import AfterValidator, Field

from loglake import events
from loglake.columns import COLUMNS
from loglake.decode import Reject
from loglake.erasure import Position
from loglake.errors import BadInputError
from producers import yaml_file
from producers.ids import milliseconds, uuid7
from producers.replay_expression import StrictModel

#: Every field of the contract as `group.field`, or the envelope's plain name.
FIELDS = frozenset(f"{column.group}.{column.field}" if column.group else column.name for column in COLUMNS)
#: A number of at least this much is milliseconds since 1970: as seconds it would be after the year 5000.
_MILLISECONDS_FROM = 10**11
#: An integer beyond what 64 bits hold is none of the contract; one of a million digits would cost minutes to write out.
_MOST_DIGITS = 19
_DIGEST_BYTES = 16
_USABLE_ID = re.compile(events.UUID7)
Document = dict[str, Any]


def _contract_field(path: str) -> str:
    if path not in FIELDS:
        raise ValueError(f"{path!r} is no field of the contract: see docs/data-dictionary.md")
    return path


def _settable_field(path: str) -> str:
    # One text for many records would make them one event.
    if path == "event_id":
        raise ValueError("event_id cannot be set: give each event an id of its own with id_from_position, or rename a field to it")
    return _contract_field(path)


def _integer(value: Any) -> int:
    number = Decimal(str(value).strip())
    if not number.is_finite() or number.adjusted() >= _MOST_DIGITS or number != number.to_integral_value():
        raise ValueError(value)
    return int(number)


def _decimal(value: Any) -> Decimal:
    return Decimal(str(value).strip())


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        raise TypeError(value)
    return _key(value)


def _time(value: Any) -> str:
    """ISO 8601 in UTC: of a text, which counts as UTC where it names no zone, or of Unix seconds or milliseconds."""
    if isinstance(value, str):
        moment = datetime.fromisoformat(value.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
    number = Decimal(str(value))
    return datetime.fromtimestamp(float(number / 1000 if number >= _MILLISECONDS_FROM else number), UTC).isoformat()


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {"integer": _integer, "decimal": _decimal, "text": _text, "time": _time}
Target = Annotated[str, AfterValidator(_contract_field)]
Settable = Annotated[str, AfterValidator(_settable_field)]
Plain = str | int | bool | None


class Fix(StrictModel):
    """One fix file; `fix` is its name in the books."""

    fix: str
    encoding: str = "utf-8"
    repeated_keys: Literal["refuse", "first", "last"] = "refuse"
    rename: dict[str, Target] = Field({})
    drop: tuple[str, ...] = ()
    values: dict[Settable, dict[str, Plain]] = Field({})
    convert: dict[Settable, Literal["integer", "decimal", "text", "time"]] = Field({})
    default: dict[Settable, Plain] = Field({})
    set: dict[Settable, Plain] = Field({})
    id_from_position: bool = False

    def applied(self, payload: bytes | None, position: Position, received: datetime) -> bytes | None:
        """The repaired bytes; raises Reject where the bytes are no JSON object, or a value cannot be converted."""
        if payload is None:
            return None
        document = self._document(payload)
        try:
            self._shape(document)
            if self.id_from_position and not _USABLE_ID.fullmatch(str(document.get("event_id"))):
                document["event_id"] = event_id_of(position, received)
            return msgspec.json.encode(document)
        except UnicodeEncodeError as error:
            raise Reject("lone_surrogate", "half of a surrogate pair in a text") from error
        except (ValueError, RecursionError) as error:
            raise Reject("not_json", f"nor can it be written as JSON: {error}") from error

    def _shape(self, document: Document) -> None:
        """Change the fields in place."""
        for old, new in self.rename.items():
            if _has(document, old):
                _put(document, new, _take(document, old))
        for path in self.drop:
            _take(document, path)
        for path, values in self.values.items():
            value = _get(document, path)
            if not isinstance(value, dict | list) and _key(value) in values:
                _put(document, path, values[_key(value)])
        for path, kind in self.convert.items():
            value = _get(document, path)
            if value is not None:
                _put(document, path, _converted(path, kind, value))
        for path, value in self.default.items():
            if _get(document, path) is None:
                _put(document, path, value)
        for path, value in self.set.items():
            _put(document, path, value)

    def _document(self, payload: bytes) -> Document:
        try:
            text = payload.decode(self.encoding)
        except UnicodeError as error:
            raise Reject("not_utf8", f"nor is it {self.encoding}: {error}") from error
        try:
            document = json.loads(text, object_pairs_hook=self._object, parse_float=Decimal)
        except (ValueError, ArithmeticError, RecursionError) as error:
            raise Reject("not_json", str(error) or type(error).__name__) from error
        if not isinstance(document, dict):
            raise Reject("not_an_object", f"the document is a {type(document).__name__}")
        return document

    def _object(self, pairs: list[tuple[str, Any]]) -> Document:
        document = dict(pairs if self.repeated_keys != "first" else reversed(pairs))
        if len(document) != len(pairs) and self.repeated_keys == "refuse":
            raise Reject("duplicate_key", "the fix does not say which counts: repeated_keys: first, or last")
        return document


def event_id_of(position: Position, received: datetime) -> str:
    """The same UUIDv7 each time for a record without a usable id: its time from the broker's, the rest from its position."""
    digest = hashlib.blake2b("/".join(map(str, position)).encode(), digest_size=_DIGEST_BYTES).digest()
    return uuid7(milliseconds(received), int.from_bytes(digest))


def load_fix(path: Path) -> Fix:
    """The fix in a YAML file; BadInputError names the file and the key that is wrong."""
    found = yaml_file.load(path, Fix, "fix", "fix, rename and set")
    try:
        b"a".decode(found.encoding)
    except (LookupError, UnicodeError) as error:
        raise BadInputError(f"fix {path}: encoding: {error}") from error
    return found


def _converted(path: str, kind: str, value: Any) -> Any:
    try:
        return _CONVERSIONS[kind](value)
    except (ArithmeticError, ValueError, TypeError, OSError) as error:
        raise Reject("wrong_type", f"{path} cannot be converted to {kind}") from error


def _key(value: Any) -> str:
    """A value as text, as a key of `values` writes it."""
    return value if isinstance(value, str) else str(value) if isinstance(value, Decimal) else json.dumps(value)


def _parent(document: Document, path: str) -> tuple[Any, str]:
    """The object that holds the path's last part; None when it is not there."""
    *groups, last = path.split(".")
    found: Any = document
    for group in groups:
        found = found.get(group) if isinstance(found, dict) else None
    return found, last


def _has(document: Document, path: str) -> bool:
    holder, last = _parent(document, path)
    return isinstance(holder, dict) and last in holder


def _get(document: Document, path: str) -> Any:
    holder, last = _parent(document, path)
    return holder.get(last) if isinstance(holder, dict) else None


def _take(document: Document, path: str) -> Any:
    holder, last = _parent(document, path)
    return holder.pop(last, None) if isinstance(holder, dict) else None


def _put(document: Document, path: str, value: Any) -> None:
    """Set the value, making the group that holds it; a group that is no object becomes one."""
    *groups, last = path.split(".")
    for group in groups:
        if not isinstance(document.get(group), dict):
            document[group] = {}
        document = document[group]
    document[last] = value
