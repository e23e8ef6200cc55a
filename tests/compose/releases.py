"""The releases of this tree that git knows."""

import tarfile
from pathlib import Path

from tests.compose.commands import run


def last_release() -> str:
    """The tag of the newest release before this commit, `v1.2.3`; empty when there is none, or this is no clone."""
    described = run(("git", "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD^"), {}, check=False)
    return described.stdout.strip()


def unpack(tag: str, folder: Path) -> Path:
    """Write the tree of a release into a folder; the folder."""
    folder.mkdir()
    packed = folder.with_suffix(".tar")
    run(("git", "archive", "--output", str(packed), tag), {})
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    return folder
