"""Docker Compose, built from the Go module proxy where no packaged one is to be had; kept in the cache by its version."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

VERSION = "v2.40.3"
_MODULE = "github.com/docker/compose/v2"
_BUILD_SECONDS = 1500


def compose_binary(cache: Path, kit: Path) -> Path:
    """The binary, from the cache or built into it (some minutes) with the kit's go.mod and go.sum, which pin every module."""
    binary = cache / f"docker-compose-{VERSION}"
    if not binary.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="build-") as folder:
            built = _build(Path(folder), kit)
            # Whole or not at all, also when two build at once.
            built.replace(binary)
    return binary


def _build(folder: Path, kit: Path) -> Path:
    for name in ("go.mod", "go.sum"):
        (folder / name).write_bytes((kit / name).read_bytes())
    built = folder / "docker-compose"
    flags = f"-s -w -X {_MODULE}/internal.Version={VERSION}"
    command = ("go", "build", "-trimpath", "-ldflags", flags, "-o", str(built), f"{_MODULE}/cmd")
    subprocess.run(command, cwd=folder, env={**os.environ, "GOWORK": "off"}, check=True, timeout=_BUILD_SECONDS)
    return built


def missing(cache: Path) -> list[str]:
    """What is not on PATH that the build needs."""
    return [] if (cache / f"docker-compose-{VERSION}").exists() or shutil.which("go") else ["go"]
