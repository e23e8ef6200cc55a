"""The jars are those of the lock, or one line says which is not."""

import hashlib
from pathlib import Path

import pytest

from stack import jars

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


def test_committed_lock_covers_every_conf() -> None:
    locked = jars.parse_lock(jars.LOCK.read_text())

    assert {name.split("/")[0] for name in locked} == set(jars.CONFS)
    assert all(len(digest) == 64 for digest in locked.values())
