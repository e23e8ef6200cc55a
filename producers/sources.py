"""Which mapping a file needs, and its lines as rows of that mapping's format."""

import csv
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from loglake.errors import BadInputError
from producers.replay_lines import Line, read_lines
from producers.replay_mapping import SourceMapping, built_in_mappings
from producers.replay_rows import BadLineError, Rows, combined_rows, combined_values, csv_rows, ndjson_rows, ndjson_values, raw_rows

#: A log or NDJSON file may begin with broken lines: this many are looked at.
_LINES_LOOKED_AT = 10


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The files named, a folder standing for the files in it by name (hidden ones left out); BadInputError when there is none."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
            if not inside:
                raise BadInputError(f"folder {path} holds no file to replay")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise BadInputError(f"{path} does not exist: name a file or a folder to replay")
    return found


def detect(path: Path) -> SourceMapping:
    """The built-in mapping that fits a file's header or first lines; BadInputError when none does."""
    lines = list(islice((line for line in read_lines(path) if line.data.strip()), _LINES_LOOKED_AT))
    for mapping in built_in_mappings().values():
        if lines and _fits(lines, mapping):
            return mapping
    known = ", ".join(built_in_mappings())
    raise BadInputError(f"{path}: no built-in mapping ({known}) fits its first lines: name one with --mapping (docs/replay.md)")


def rows_of(path: Path, lines: Iterable[Line | None], mapping: SourceMapping) -> Rows:
    """The rows of a file's lines; BadInputError when a CSV header has not each column that the mapping names, once."""
    if mapping.passthrough:
        return raw_rows(lines)
    if mapping.format == "combined":
        return combined_rows(lines, mapping.encoding)
    if mapping.format == "ndjson":
        return ndjson_rows(lines, mapping.encoding)

    def check(header: tuple[str, ...]) -> None:
        for name in mapping.columns:
            if header.count(name) != 1:
                found = "no column" if name not in header else "more than one column"
                raise BadInputError(f"{path}: its header has {found} {name!r}, which mapping {mapping.source} needs")

    return csv_rows(lines, None if mapping.has_header else mapping.columns, mapping.delimiter, mapping.encoding, check)


def _fits(lines: list[Line], mapping: SourceMapping) -> bool:
    texts = [line.data.decode(mapping.encoding, errors="replace") for line in lines]
    if mapping.format == "csv":
        header = next(csv.reader(texts[:1], delimiter=mapping.delimiter), [])
        return mapping.has_header and set(mapping.columns) <= set(header)
    return any(_parses(text, mapping) for text in texts)


def _parses(text: str, mapping: SourceMapping) -> bool:
    try:
        values = combined_values(text) if mapping.format == "combined" else ndjson_values(text)
    except BadLineError:
        return False
    return all(column in values for column in mapping.columns)
