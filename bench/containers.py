"""What each container of docker-compose.yaml takes, by the docker client's readings.

They are of control groups, so pages of files are part of the memory.
"""

import json
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean

from bench.idle import Usage
from loglake.errors import ServiceError

_PROJECT = "label=com.docker.compose.project=loglake"
_SERVICE = '{{.Names}} {{.Label "com.docker.compose.service"}}'
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_ANSWER_SECONDS = 60


def measure(seconds: float) -> dict[str, Usage]:
    """Read every running container again and again for so long: the greatest memory of each, and the mean of its cores."""
    names = dict(line.split() for line in _docker("ps", "--filter", _PROJECT, "--format", _SERVICE))
    if not names:
        raise ServiceError("no container of docker-compose.yaml runs: docker compose up --detach --wait")
    readings: dict[str, list[Usage]] = defaultdict(list)
    deadline = time.monotonic() + seconds
    while not readings or time.monotonic() < deadline:
        for name, usage in read(_docker("stats", "--no-stream", "--format", "{{json .}}", *names)).items():
            readings[names[name]].append(usage)
    return {
        service: Usage(max(one.memory_mib for one in found), fmean(one.cores for one in found))
        for service, found in sorted(readings.items())
    }


def read(lines: Iterable[str]) -> dict[str, Usage]:
    """By the container's name, from what `docker stats` prints as JSON; it has dashes for one that is just being started."""
    told = [one for one in map(json.loads, lines) if one["CPUPerc"] != "--"]
    return {one["Name"]: Usage(size(one["MemUsage"].split("/")[0]) / 2**20, float(one["CPUPerc"].rstrip("%")) / 100) for one in told}


def size(text: str) -> int:
    """Bytes of a size as the docker client writes it: `12.5MiB`, `1.2kB`."""
    number = text.strip().rstrip("BkKMGi")
    return round(float(number) * _UNITS[text.strip()[len(number) :]])


def _docker(*arguments: str) -> list[str]:
    """The lines that the docker client prints."""
    client = shutil.which("docker")
    if client is None:
        raise ServiceError("there is no docker in PATH, so no container to measure")
    try:
        done = subprocess.run((client, *arguments), capture_output=True, text=True, check=True, timeout=_ANSWER_SECONDS)
    except subprocess.CalledProcessError as error:
        raise ServiceError(f"docker {arguments[0]}: {error.stderr.strip()}") from error
    except subprocess.TimeoutExpired as error:
        raise ServiceError(f"docker {arguments[0]} did not answer within {_ANSWER_SECONDS} s") from error
    return done.stdout.splitlines()
