"""What several unit tests look at, and what takes seconds to make."""

import os
from collections.abc import Iterator
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
