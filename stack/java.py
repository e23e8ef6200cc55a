"""The Java runtime of the servers: where it is, whether it will do, and how a JVM is started with a small footprint."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from loglake.errors import ServiceError
from loglake.settings import settings

ACCEPTED = (17, 21)
_INSTALL = "apt-get install openjdk-17-jre-headless, or set LOGLAKE_JAVA_HOME to a Java 17"
#: Idle servers stay small: one collector thread, no performance counters file.
SMALL_JVM = ("-XX:+UseSerialGC", "-XX:-UsePerfData")
#: Few malloc arenas: glibc otherwise keeps one per thread, which doubles a small JVM's resident size.
ENVIRONMENT = {"MALLOC_ARENA_MAX": "2"}


def parse_major(output: str) -> int | None:
    """The major version in what `java -version` prints; None when there is none."""
    found = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(found[1]) if found else None


@cache
def java() -> Path:
    """The `java` to run; ServiceError when it is missing or of a version the servers do not run on."""
    home = settings().runtime.java_home
    found = shutil.which("java", path=str(home / "bin") if home else None)
    if found is None:
        raise ServiceError(f"no java in {home / 'bin' if home else 'PATH'}: {_INSTALL}")
    shown = subprocess.run([found, "-version"], capture_output=True, text=True, check=False)
    major = parse_major(shown.stderr + shown.stdout)
    if major not in ACCEPTED:
        raise ServiceError(f"{found} is Java {major or 'of an unknown version'}, the servers need 17 or 21: {_INSTALL}")
    return Path(found).resolve()


def java_home() -> Path:
    """JAVA_HOME for scripts that want one."""
    return java().parent.parent


def command(main_class: str, class_path: Sequence[Path | str], heap: str, *options: str) -> tuple[str, ...]:
    """The command line of a server's JVM: `heap` is -Xmx, `options` go before the main class."""
    path = ":".join(str(entry) for entry in class_path)
    return (str(java()), f"-Xmx{heap}", *SMALL_JVM, *options, "-cp", path, main_class)
