"""Fetches the jars of `ivy.xml` with Apache Ivy, which PySpark ships, and checks each against `jars.sha256`.

A folder that was fetched whole holds a stamp, the text of the lock it was checked against, and is not fetched again.
Everything is made in a folder beside it and renamed at the end, so an interrupted run leaves nothing half done.
"""

import hashlib
import shutil
import subprocess
import zipfile
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from loglake.errors import ServiceError
from loglake.settings import settings
from stack import lock, tools, wheels
from stack.daemon import Daemon
from stack.java import java

HERE = Path(__file__).resolve().parent
LOCK = HERE / "jars.sha256"
CONFS = ("kafka", "hadoop", "hadoop-web", "spark")
PATTERN = "[conf]/[artifact]-[revision](-[classifier]).[ext]"
STAMP = ".fetched"
#: Called with the share done so far (0 to 1; finding each jar is half, fetching it the other) and the line Ivy just printed.
Progress = Callable[[float, str], None]


def parse_lock(text: str) -> dict[str, str]:
    """`conf/name.jar` → SHA-256, from the lines of a lock (the format of sha256sum)."""
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in text.splitlines() if line)}


def render_lock(digests: dict[str, str]) -> str:
    """The text of a lock."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of every jar below a folder, by its name relative to it."""
    return {str(jar.relative_to(folder)): _sha256(jar) for jar in sorted(folder.rglob("*.jar"))}


def difference(locked: dict[str, str], found: dict[str, str]) -> str:
    """The first way in which the jars found are not those locked, in one line; "" when they are the same."""
    for name, digest in sorted(locked.items()):
        if name not in found:
            return f"jar {name} of stack/jars.sha256 was not fetched"
        if found[name] != digest:
            return f"jar {name} has SHA-256 {found[name]}, stack/jars.sha256 says {digest}"
    extra = sorted(found.keys() - locked.keys())
    return f"jar {extra[0]} is not in stack/jars.sha256" if extra else ""


def present(folder: Path, lock: str) -> bool:
    """Whether a folder holds what the lock says, as its stamp and the names in it tell."""
    stamp = folder / STAMP
    return stamp.is_file() and stamp.read_text() == lock and all((folder / name).is_file() for name in parse_lock(lock))


def fetch(progress: Progress) -> bool:
    """Make the jars folder hold what the lock says; False when it already did. ServiceError when a jar differs."""
    folder, locked_text = settings().runtime.jars_dir, LOCK.read_text()
    if present(folder, locked_text):
        return False
    with _alone(folder):
        if present(folder, locked_text):
            return False
        if Daemon(settings().runtime.runtime_dir).running():
            raise ServiceError("the jars of the running servers are not those of stack/jars.sha256: run `loglake down` first")
        _replace(folder, locked_text, progress)
    return True


def _replace(folder: Path, locked_text: str, progress: Progress) -> None:
    locked = parse_lock(locked_text)
    draft = _resolve(folder, len(locked), progress)
    wrong = difference(locked, digests(draft))
    if wrong:
        cache = _cache(folder)
        raise ServiceError(f"{wrong}: delete {cache} to fetch it again, or run `loglake jars --lock` if stack/ivy.xml was changed")
    _unpack_web_pages(draft / "hadoop-web")
    (draft / STAMP).write_text(locked_text)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def write_lock(progress: Progress) -> int:
    """Resolve `ivy.xml` anew and write the lock from what came; returns the number of jars."""
    folder = settings().runtime.jars_dir
    with _alone(folder):
        draft = _resolve(folder, 0, progress)
        found = digests(draft)
        shutil.rmtree(draft)
    LOCK.write_text(render_lock(found))
    return len(found)


def _alone(folder: Path) -> AbstractContextManager[None]:
    """One process at a time fetches into a folder: two would write into the same draft."""
    return lock.held(folder.with_name(f"{folder.name}.lock"), f"another `loglake` is fetching the jars into {folder}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cache(folder: Path) -> Path:
    return folder.with_name("ivy-cache")


def _resolve(folder: Path, total: int, progress: Progress) -> Path:
    """Let Ivy fetch every jar into a fresh folder beside `folder`, and return that."""
    draft = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    ivy = [str(java()), f"-Dloglake.ivy.cache={_cache(folder)}", "-cp", str(wheels.folder("pyspark") / "jars" / "*"), "org.apache.ivy.Main"]
    what = ["-settings", str(HERE / "ivysettings.xml"), "-ivy", str(HERE / "ivy.xml"), "-confs", *CONFS]
    where = ["-types", "jar", "bundle", "test-jar", "-retrieve", f"{draft}/{PATTERN}"]
    last: deque[str] = deque(maxlen=200)
    done = 0
    steps = 2 * max(total, 1)
    with subprocess.Popen(tools.mortal([*ivy, *what, *where]), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            done += line.lstrip().startswith(("found ", "[SUCCESSFUL ]"))
            last.append(line.strip())
            progress(min(done / steps, 1.0), line.strip())
    if process.returncode:
        raise ServiceError(f"the jars could not be fetched: {_first_problem(last)}; run the same command again to go on where it stopped")
    return draft


def _first_problem(lines: deque[str]) -> str:
    marks = ("unresolved dependency", "SERVER ERROR", "download failed", "Exception", "ERRORS", "impossible")
    return next((line for line in lines if any(mark in line for mark in marks)), lines[-1] if lines else "Ivy printed nothing")


def _unpack_web_pages(folder: Path) -> None:
    """Unpack the web pages of the NameNode and DataNode, which are published inside the tests jar only."""
    for jar in folder.glob("*.jar"):
        with zipfile.ZipFile(jar) as archive:
            archive.extractall(folder, [name for name in archive.namelist() if name.startswith("webapps/")])
