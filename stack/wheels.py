"""Where an installed package's files are, without importing it: some imports take a second or have side effects."""

from importlib.util import find_spec
from pathlib import Path

from loglake.errors import ServiceError


def folder(package: str) -> Path:
    """The folder of an installed package; ServiceError when the environment lacks it."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ServiceError(f"the Python package {package} is missing: run `make setup`")
    return Path(spec.origin).parent
