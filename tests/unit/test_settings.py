"""Settings: a value that cannot be used is told by its variable, and secrets are made once, for their owner alone."""

from pathlib import Path

import pytest
from dotenv import dotenv_values

from loglake.errors import SettingsError
from loglake.settings import ROLES, check_names, generate_secrets, settings

pytestmark = pytest.mark.unit


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOGLAKE_KAFKA_PORT", "99999"),
        ("LOGLAKE_KAFKA_PORT", "kafka"),
        ("LOGLAKE_KAFKA_PARTITIONS", "0"),
        ("LOGLAKE_KAFKA_BOOTSTRAP_SERVERS", "one:9092, two:9092"),
        ("LOGLAKE_STREAM_TRIGGER_SECONDS", "0"),
        ("LOGLAKE_JARS_DIR", "jars"),
        ("LOGLAKE_LINEAGE_NAMESPACE", "prod/eu"),
        ("LOGLAKE_LINEAGE_NAMESPACE", "prod,eu"),
        ("LOGLAKE_MAINTENANCE_PROGRESS_DAYS", "7"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_by_its_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    settings.cache_clear()

    with pytest.raises(SettingsError, match=rf"setting {name} cannot be used: .*{value}"):
        settings()


def test_brokers_of_ones_own_take_the_place_of_the_embedded_one(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings().kafka.brokers == "127.0.0.1:9092"
    monkeypatch.setenv("LOGLAKE_KAFKA_BOOTSTRAP_SERVERS", "one:9092,two:9093")
    settings.cache_clear()

    assert settings().kafka.brokers == "one:9092,two:9093"


def test_a_slip_of_the_pen_is_told_with_the_name_that_was_meant() -> None:
    check_names(["LOGLAKE_KAFKA_PORT", "LOGLAKE_STACK_PORTS", "PATH"])

    with pytest.raises(SettingsError, match="there is no setting LOGLAKE_KAFKA_PROT: did you mean LOGLAKE_KAFKA_PORT"):
        check_names(["LOGLAKE_KAFKA_PROT"])


def test_secrets_are_made_once_and_are_the_owners_alone(runtime: Path) -> None:
    with pytest.raises(SettingsError, match="no password for the Postgres role loader: run `loglake up` once"):
        settings().postgres.password("loader")

    generate_secrets()
    first = (runtime / "secrets.env").read_text()
    generate_secrets()

    assert (runtime / "secrets.env").read_text() == first
    assert (runtime / "secrets.env").stat().st_mode & 0o777 == 0o600
    assert len({settings().postgres.password(role) for role in ROLES}) == len(ROLES)
    assert list(runtime.iterdir()) == [runtime / "secrets.env"]


def test_a_secret_that_is_lacking_is_added_and_the_others_stay(runtime: Path) -> None:
    generate_secrets()
    path = runtime / "secrets.env"
    before = dotenv_values(path)
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if "LOADER" not in line).rstrip("\n"))

    generate_secrets()

    after = dotenv_values(path)
    assert after.keys() == before.keys()
    assert {name for name in before if before[name] != after[name]} == {"LOGLAKE_POSTGRES_LOADER_PASSWORD"}


def test_a_fernet_key_is_one(runtime: Path) -> None:
    from cryptography.fernet import Fernet

    generate_secrets()

    Fernet(settings().airflow.fernet_key.get_secret_value())
