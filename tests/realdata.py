"""Real data for tests, kept outside the project's tree: a clone without it skips, CI must have it."""

import os
from pathlib import Path

import pytest

from loglake.settings import PROJECT

REAL_DATA = PROJECT.parent / "shared" / "data"


def real_data(*parts: str) -> Path:
    """The path of a file or folder of the real data; skips the test when it is absent, and fails it in CI."""
    path = REAL_DATA.joinpath(*parts)
    if not path.exists():
        reason = f"real data {'/'.join(parts)} is not in ../shared/data"
        if os.environ.get("CI", "").lower() in ("true", "1"):
            pytest.fail(f"{reason}, and CI must have it")
        pytest.skip(reason)
    return path
