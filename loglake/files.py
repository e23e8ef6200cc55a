"""Files that are there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loglake.errors import BadInputError


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A draft beside `target`, to be written to: it takes the target's place when the block ends well, and is deleted when it does not.

    Makes the folder. BadInputError when `target` cannot be a file.
    """
    if target.is_dir():
        raise BadInputError(f"{target} is a folder: name a file")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, FileNotFoundError, NotADirectoryError) as error:
        raise BadInputError(f"{target}: {target.parent} is no folder") from error
    # The process's number: two runs at once must not write into one draft.
    draft = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        yield draft
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
