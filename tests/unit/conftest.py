"""What several unit tests look at, and what takes seconds to make."""

from typing import Any

import pytest

from loglake.models import read_manifest


@pytest.fixture(scope="session")
def manifest() -> dict[str, Any]:
    """dbt's manifest of the project, parsed once."""
    return read_manifest()
