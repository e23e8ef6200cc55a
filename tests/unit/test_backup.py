"""A backup that is not whole is refused before anything is touched, and a new one takes no other's place."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from loglake import catalog, lake_files, warehouse
from loglake.errors import BadInputError, SchemaError, ServiceError, SettingsError
from loglake.settings import replace_secret, settings
from stack import backup, restore

pytestmark = pytest.mark.unit


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A backup of one file."""
    (tmp_path / "warehouse.dump").write_bytes(b"rows")
    files = {"warehouse.dump": asdict(backup.noted(tmp_path / "warehouse.dump"))}
    (tmp_path / "backup.json").write_text(json.dumps({"format": backup.FORMAT, "files": files}))
    return tmp_path


def check(folder: Path) -> None:
    restore.verify(folder, restore.read(folder))


def test_a_backup_is_what_was_written(written: Path) -> None:
    check(written)
    (written / "warehouse.dump").write_bytes(b"rowz")
    with pytest.raises(BadInputError, match=r"the backup is damaged: .*warehouse\.dump is not what was written"):
        check(written)
    (written / "warehouse.dump").unlink()
    with pytest.raises(BadInputError, match=r"the backup is not whole: .*warehouse\.dump is missing"):
        check(written)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "is no backup: it has no backup.json"),
        ("{", "backup.json is damaged"),
        ('{"format": 99}', "has format 99, this release reads 1"),
    ],
)
def test_what_is_no_backup_is_refused(tmp_path: Path, text: str | None, told: str) -> None:
    if text is not None:
        (tmp_path / "backup.json").write_text(text)
    with pytest.raises(BadInputError, match=told):
        restore.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ({"metadata_location": "hdfs://elsewhere:1/lake/bronze/log_events/metadata/1"}, SettingsError, "are called hdfs://elsewhere:1/"),
        ({"schema_version": "9999"}, SchemaError, "the backup has schema version 9999, this release knows up to"),
        ({"holds_key": False, "pseudonym": "x"}, SettingsError, "holds no privacy key: set LOGLAKE_PRIVACY_KEY"),
    ],
)
def test_what_this_stack_could_not_use_is_refused(change: dict[str, Any], error: type[Exception], told: str) -> None:
    fitting = {"metadata_location": None, "schema_version": "0001", "holds_key": True, "pseudonym": ""}
    restore._require_fit(fitting)
    with pytest.raises(error, match=told):
        restore._require_fit({**fitting, **change})


def test_a_backup_takes_no_other_ones_place_and_leaves_nothing_when_it_fails(tmp_path: Path) -> None:
    taken, new = tmp_path / "taken", tmp_path / "new"
    taken.mkdir()
    (taken / "file").touch()
    with pytest.raises(BadInputError, match="taken is there already: name a new folder"), backup._draft(taken):
        pass
    with pytest.raises(FileNotFoundError), backup._draft(new) as draft:
        (draft / "half" / "a file").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
    with backup._draft(new) as draft:
        (draft / "whole").touch()
    assert [path.name for path in new.iterdir()] == ["whole"]


def test_a_secret_of_another_installation_takes_the_generated_ones_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGLAKE_RUNTIME_DIR", str(tmp_path))
    settings.cache_clear()
    (tmp_path / "secrets.env").write_text("LOGLAKE_PRIVACY_KEY=new\nLOGLAKE_POSTGRES_DBT_PASSWORD=p\n")

    replace_secret("LOGLAKE_PRIVACY_KEY", "old")

    assert settings().privacy.key.get_secret_value() == "old"
    assert (tmp_path / "secrets.env").read_text() == "LOGLAKE_POSTGRES_DBT_PASSWORD=p\nLOGLAKE_PRIVACY_KEY=old\n"
    assert (tmp_path / "secrets.env").stat().st_mode & 0o777 == 0o600
    settings.cache_clear()


def test_a_missing_data_file_is_named() -> None:
    lake_files.require_present({"/a": 1}, {"/a": 1, "/b": 2})
    with pytest.raises(ServiceError, match="HDFS lacks 1 of the 2 data files that the table is made of, the first is /a"):
        lake_files.require_present({"/a": 1, "/b": 2}, {"/a": 9, "/b": 2})


def test_the_number_of_a_metadata_file_is_that_of_its_commit() -> None:
    assert catalog.version_of("hdfs://h:1/lake/metadata/00012-0a1b.metadata.json") == 12
    with pytest.raises(BadInputError, match="is not called like a metadata file"):
        catalog.version_of("hdfs://h:1/lake/metadata/v12.metadata.json")


def test_only_what_an_event_cannot_be_without_is_not_null() -> None:
    assert "session_id" in warehouse.NOT_NULL
    assert warehouse.NOT_NULL.isdisjoint({"status_code", "latency_ms", "user_id", "load_id"})
