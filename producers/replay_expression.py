"""The expressions of a mapping: a template over a row's values, and a few steps that shape the text it gives.

`"{brand}"` is the value of the column `brand`, `"order-{id}"` puts it into a text, `GBP` is the text itself. When a column
named in a template is empty, the whole template is null. `{@event_id}` and `{@day}` are the event's id and its day (UTC).
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from typing import Annotated
from urllib.parse import unquote_plus

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

#: What a template may name besides the columns of its source.
BUILT_IN = ("@event_id", "@day")
_REMEMBERED_TEXTS = 4096
_COLUMN = re.compile(r"\{([^{}]+)\}")


class StrictModel(BaseModel):
    """A part of a mapping file: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


@lru_cache(maxsize=1024)
def _pieces(template: str) -> tuple[str, ...]:
    """A template taken apart: text, column, text, column, …, text."""
    return tuple(_COLUMN.split(template))


def fill(template: str, values: Mapping[str, str | None]) -> str | None:
    """The template with its columns put in; null when one of them is."""
    pieces = _pieces(template)
    if len(pieces) == 3 and not pieces[0] and not pieces[2]:
        return values.get(pieces[1])
    filled = list(pieces)
    for index in range(1, len(pieces), 2):
        text = values.get(pieces[index])
        if text is None:
            return None
        filled[index] = text
    return "".join(filled)


def _checked_template(template: str) -> str:
    if any(brace in text for text in _pieces(template)[::2] for brace in "{}"):
        raise ValueError(f"{template!r}: a brace that belongs to no {{column}}")
    return template


def _checked_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    return pattern


Template = Annotated[str, AfterValidator(_checked_template)]
Pattern = Annotated[str, AfterValidator(_checked_pattern)]


class Expression(StrictModel):
    """`from` a template, then each step that is named, in this order; null stays null until `default`."""

    template: Template = Field(alias="from")
    match: Pattern | None = None  # keep the first group of the first place it is found, else null
    cases: dict[Pattern, str] | None = None  # the text of the first pattern that is found, else null
    unquote: bool = False  # undo URL quoting
    absolute: bool = False  # drop a minus sign
    default: Template | None = None  # used when the value is null by now
    hash: bool = False  # 128 bits of BLAKE2b as hexadecimal digits

    @cached_property
    def columns(self) -> frozenset[str]:
        """The columns it reads, built-in names left out."""
        return frozenset(column for text in (self.template, self.default or "") for column in _pieces(text)[1::2] if column not in BUILT_IN)

    def value(self, values: Mapping[str, str | None]) -> str | None:
        """What the expression makes of a row's values."""
        text = fill(self.template, values)
        if text is not None and self._has_steps:
            text = self._shaped(text)
        if text is None and self.default is not None:
            text = fill(self.default, values)
        if text is not None and self.hash:
            text = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()
        return text

    @cached_property
    def _has_steps(self) -> bool:
        return bool(self.match or self.cases or self.unquote or self.absolute)

    @cached_property
    def _shaped(self) -> Callable[[str], str | None]:
        # A user agent, a category, a status come again and again.
        return lru_cache(maxsize=_REMEMBERED_TEXTS)(self._shape)

    def _shape(self, text: str) -> str | None:
        shaped: str | None = text
        if self.match is not None:
            found = re.search(self.match, text)
            shaped = found[1 if found.re.groups else 0] if found else None
        if shaped is not None and self.cases is not None:
            subject = shaped
            shaped = next((case for pattern, case in self.cases.items() if re.search(pattern, subject)), None)
        if shaped is not None and self.unquote:
            shaped = unquote_plus(shaped)
        if shaped is not None and self.absolute:
            shaped = shaped.removeprefix("-")
        return shaped
