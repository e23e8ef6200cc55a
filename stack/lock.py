"""A lock file: one process at a time, and none left behind by one that was killed."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loglake.errors import ServiceError


@contextmanager
def held(path: Path, busy: str) -> Iterator[None]:
    """Hold the lock `path`; ServiceError that says `busy` when another process holds it. The file stays: its removal would be a race."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ServiceError(f"{busy}: wait for it") from error
        yield
