"""A generator at work while something is measured."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def generating(rate: int, *options: str) -> Iterator["subprocess.Popen[bytes]"]:
    """`loglake generate` at `rate` events per second; it does not outlive the block."""
    command = [str(Path(sys.executable).with_name("loglake")), "generate", "--rate", str(rate), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()
