"""The stack that is brought up and down."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loglake.settings import settings
from tests.quietstack import Stack


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    monkeypatch.setenv("LOGLAKE_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("LOGLAKE_MIN_FREE_DISK_GIB", "0")
    settings.cache_clear()
    stack = Stack(tmp_path / "runtime", monkeypatch)
    yield stack
    stack.down()
    assert stack.daemon.family() == []
    settings.cache_clear()
