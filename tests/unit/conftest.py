"""What several unit tests look at, and what takes seconds to make."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loglake.models import read_manifest
from loglake.settings import settings


@pytest.fixture(scope="module", autouse=True)
def own_settings() -> Iterator[None]:
    """The settings' defaults, also when this worker has brought a stack up before, whose settings its environment holds."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("LOGLAKE_") and name != "LOGLAKE_JARS_DIR"]:
            patch.delenv(name)
        settings.cache_clear()
        yield
    settings.cache_clear()


@pytest.fixture(scope="session")
def manifest() -> dict[str, Any]:
    """dbt's manifest of the project, parsed once."""
    return read_manifest()


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The settings' runtime folder: one of the test's own, which is not there yet."""
    monkeypatch.setenv("LOGLAKE_RUNTIME_DIR", str(tmp_path / "runtime"))
    settings.cache_clear()
    yield tmp_path / "runtime"
    settings.cache_clear()


@pytest.fixture
def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        number: int = server.getsockname()[1]
    return number
