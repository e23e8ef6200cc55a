"""A Docker engine and a compose command: those of the machine where it has them, otherwise the tests' own.

By hand, from the project's folder: `eval "$(.venv/bin/python -m tests.compose.engine start)"` starts the tests' own engine and
tells this shell of it; `.venv/bin/python -m tests.compose.engine stop` ends it.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loglake.settings import PROJECT
from tests.compose import composebinary, ownengine
from tests.compose.commands import run
from tests.compose.ownengine import EngineError, OwnEngine

#: Where the tests' own engine gets its base image and compose from.
KIT = PROJECT.parent / "shared" / "compose"
_BASE_IMAGE = "debian:bookworm-slim"
#: So much of the build cache is kept between runs.
_KEPT = "15GB"
_APT = "apt-get install --no-install-recommends docker.io iptables iproute2 mmdebstrap"


@dataclass(frozen=True)
class Engine:
    """An engine that answers: the environment to reach it by, and the command of compose."""

    environment: Mapping[str, str]
    compose: tuple[str, ...]

    def docker(self, *arguments: str, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run the docker client to its end."""
        return run(("docker", *arguments), self.environment, check=check, timeout=timeout)


@contextmanager
def engine(kit: Path) -> Iterator[Engine]:
    """The machine's engine when `docker info` answers; else one that is started, and stopped at the end."""
    if _succeeds("docker", "info"):
        yield Engine({}, _compose(kit))
        return
    own = OwnEngine(cache() / "engine")
    started = _start(own, kit)
    try:
        _make_base_image(started, kit)
        yield started
        _tidy(started)
    finally:
        own.stop()


def cache() -> Path:
    """The folder of what is kept between runs: compose, the engine's images and build cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loglake"


def _start(own: OwnEngine, kit: Path, *, detached: bool = False) -> Engine:
    _require(kit)
    compose = _compose(kit)
    own.start(detached=detached)
    # Without bake, which would ask for the plug-in buildx, compose builds by itself.
    return Engine({**own.environment, "COMPOSE_BAKE": "false"}, compose)


def _make_base_image(started: Engine, kit: Path) -> None:
    """Make what a Dockerfile is `FROM`, once: another one would be other bits, and every step of a build would run anew."""
    if started.docker("image", "inspect", _BASE_IMAGE, check=False).returncode == 0:
        return
    folder = cache() / "base"
    folder.mkdir(parents=True, exist_ok=True)
    run((str(kit / "mkbase.sh"),), {**started.environment, "W": str(folder), "TAGS": _BASE_IMAGE})


def _tidy(started: Engine) -> None:
    """Remove what an older checkout's build has left behind, or the cache would grow with every change."""
    started.docker("image", "prune", "--force")
    started.docker("builder", "prune", "--force", "--keep-storage", _KEPT)


def _compose(kit: Path) -> tuple[str, ...]:
    if _succeeds("docker", "compose", "version"):
        return ("docker", "compose")
    return (str(composebinary.compose_binary(cache(), kit)),)


def _require(kit: Path) -> None:
    """EngineError that names all that is missing for an own engine."""
    if os.geteuid():
        raise EngineError("`docker info` has no answer: start Docker, or let this user reach it; to start an engine here, be root")
    if absent := ownengine.missing():
        raise EngineError(f"`docker info` has no answer, and to start an engine here there is no {', '.join(absent)}: {_APT}")
    if not kit.is_dir():
        raise EngineError(f"no {kit}, from which the base image is made: name its folder by --compose-kit")
    if absent := composebinary.missing(cache()):
        raise EngineError(f"`docker compose` has no answer, and to build it there is no {', '.join(absent)}: apt-get install golang")


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0
    except FileNotFoundError:
        return False


def main(action: str) -> None:
    """Start the tests' own engine and print what a shell must know of it, or stop it."""
    own = OwnEngine(cache() / "engine")
    if action == "stop":
        own.stop()
        return
    started = _start(own, KIT, detached=True)
    _make_base_image(started, KIT)
    for name, value in started.environment.items():
        print(f"export {name}={value}")  # noqa: T201
    print(f"export COMPOSE={' '.join(started.compose)}")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
