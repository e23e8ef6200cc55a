"""The jars are those of the lock, or one line says which is not."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from loglake.errors import ServiceError
from loglake.settings import settings
from stack import jars, lock
from stack.daemon import Daemon

pytestmark = pytest.mark.unit
LOCKED = {"kafka/a.jar": "1" * 64, "spark/b.jar": "2" * 64}


def test_lock_round_trip() -> None:
    assert jars.parse_lock(jars.render_lock(LOCKED)) == LOCKED


def test_same_jars_differ_in_nothing() -> None:
    assert jars.difference(LOCKED, dict(LOCKED)) == ""


@pytest.mark.parametrize(
    ("found", "line"),
    [
        ({"kafka/a.jar": "1" * 64}, "jar spark/b.jar of stack/jars.sha256 was not fetched"),
        ({**LOCKED, "spark/b.jar": "3" * 64}, f"jar spark/b.jar has SHA-256 {'3' * 64}, stack/jars.sha256 says {'2' * 64}"),
        ({**LOCKED, "spark/c.jar": "3" * 64}, "jar spark/c.jar is not in stack/jars.sha256"),
    ],
)
def test_each_difference_is_one_line(found: dict[str, str], line: str) -> None:
    assert jars.difference(LOCKED, found) == line


def test_folder_is_whole_only_with_its_stamp_and_every_jar(tmp_path: Path) -> None:
    jar = tmp_path / "kafka" / "a.jar"
    jar.parent.mkdir()
    jar.write_bytes(b"jar")
    lock = jars.render_lock(jars.digests(tmp_path))
    assert jars.parse_lock(lock) == {"kafka/a.jar": hashlib.sha256(b"jar").hexdigest()}
    assert not jars.present(tmp_path, lock)

    (tmp_path / jars.STAMP).write_text(lock)

    assert jars.present(tmp_path, lock)
    assert not jars.present(tmp_path, lock + jars.render_lock({"kafka/b.jar": "0" * 64}))
    jar.unlink()
    assert not jars.present(tmp_path, lock)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A jars folder of the test's own, whose lock names one jar, and an Ivy that brings it."""
    text = jars.render_lock({"kafka/a.jar": hashlib.sha256(b"jar").hexdigest()})
    (tmp_path / "jars.sha256").write_text(text)

    def resolve(folder: Path, _total: int, _progress: jars.Progress) -> Path:
        draft = folder.with_name("draft")
        (draft / "kafka").mkdir(parents=True)
        (draft / "kafka" / "a.jar").write_bytes(b"jar")
        return draft

    monkeypatch.setattr(jars, "LOCK", tmp_path / "jars.sha256")
    monkeypatch.setattr(jars, "_resolve", resolve)
    monkeypatch.setenv("LOGLAKE_JARS_DIR", str(tmp_path / "jars"))
    monkeypatch.setenv("LOGLAKE_RUNTIME_DIR", str(tmp_path / "runtime"))
    settings.cache_clear()
    yield tmp_path / "jars"
    settings.cache_clear()


def fetch() -> bool:
    return jars.fetch(lambda _done, _line: None)


def test_jars_are_fetched_once(folder: Path) -> None:
    assert fetch()
    assert (folder / "kafka" / "a.jar").exists()
    assert not fetch()


def test_two_do_not_fetch_at_the_same_time(folder: Path) -> None:
    with lock.held(folder.with_name("jars.lock"), "the test"), pytest.raises(ServiceError, match="another `loglake` is fetching the jars"):
        fetch()
    assert not folder.exists()


def test_jars_of_running_servers_are_not_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch()
    (folder / jars.STAMP).write_text("an older lock")
    monkeypatch.setattr(Daemon, "running", lambda _: True)

    with pytest.raises(ServiceError, match="run `loglake down` first"):
        fetch()

    assert (folder / "kafka" / "a.jar").exists()


def test_committed_lock_covers_every_conf() -> None:
    locked = jars.parse_lock(jars.LOCK.read_text())

    assert {name.split("/")[0] for name in locked} == set(jars.CONFS)
    assert all(len(digest) == 64 for digest in locked.values())
