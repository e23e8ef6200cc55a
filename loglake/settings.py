"""The settings of this process: `setting_groups` and `operation_settings`, read from the environment, `.env` and the generated secrets.

No other module reads the environment.
"""

import base64
import difflib
import io
import os
import secrets
import string
from collections.abc import Iterable
from functools import cache

from dotenv import dotenv_values
from pydantic import ValidationError

from loglake.errors import SettingsError
from loglake.operation_settings import (
    AlertSettings,
    ComposeSettings,
    LineageSettings,
    LogSettings,
    MaintenanceSettings,
    MetricsSettings,
    MonitorSettings,
    SlackSettings,
    SmtpSettings,
)
from loglake.setting_groups import (
    LOOPBACK,
    PROJECT,
    ROLES,
    AirflowSettings,
    Group,
    HdfsSettings,
    KafkaSettings,
    LakeSettings,
    LiveSettings,
    LoadSettings,
    PostgresSettings,
    PrivacySettings,
    RuntimeSettings,
    SparkSettings,
    StreamSettings,
)

#: The classes are imported from `loglake.setting_groups`; these names are what nearly every module needs.
__all__ = [
    "LOOPBACK",
    "PROJECT",
    "ROLES",
    "Settings",
    "check_names",
    "child_environment",
    "export",
    "generate_secrets",
    "run_id",
    "settings",
]

#: Every class of settings, for whoever lists them all.
GROUPS: tuple[type[Group], ...] = (
    RuntimeSettings,
    KafkaSettings,
    HdfsSettings,
    PostgresSettings,
    SparkSettings,
    LakeSettings,
    StreamSettings,
    LiveSettings,
    LoadSettings,
    AirflowSettings,
    MaintenanceSettings,
    MetricsSettings,
    MonitorSettings,
    LogSettings,
    LineageSettings,
    AlertSettings,
    SlackSettings,
    SmtpSettings,
    PrivacySettings,
    ComposeSettings,
)
#: Variables of ours that are marks and messages between processes, not settings.
_NO_SETTINGS = ("LOGLAKE_STACK", "LOGLAKE_DBT_")


def check_names(names: Iterable[str]) -> None:
    """SettingsError for a variable of ours that no setting has: a slip of the pen must not pass in silence."""
    known = {f"{group.model_config['env_prefix']}{field}".upper() for group in GROUPS for field in group.model_fields}
    for name in names:
        if name.startswith("LOGLAKE_") and name not in known and not name.startswith(_NO_SETTINGS):
            near = difflib.get_close_matches(name, known, 1)
            raise SettingsError(f"there is no setting {name}" + (f": did you mean {near[0]}?" if near else ", see .env.example"))


class Settings:
    """All services' settings, made once per process by `settings()`."""

    def __init__(self) -> None:
        check_names([*os.environ, *dotenv_values(PROJECT / ".env")])
        self.runtime = RuntimeSettings()
        # The later file wins: a password that the user sets takes the place of the generated one.
        files = (self.runtime.secrets_file, PROJECT / ".env")
        self.kafka = KafkaSettings()
        self.hdfs = HdfsSettings()
        self.postgres = PostgresSettings(_env_file=files)
        self.spark = SparkSettings()
        self.lake = LakeSettings()
        self.stream = StreamSettings()
        self.live = LiveSettings()
        self.load = LoadSettings()
        self.airflow = AirflowSettings(_env_file=files)
        self.maintenance = MaintenanceSettings()
        self.metrics = MetricsSettings()
        self.monitor = MonitorSettings()
        self.log = LogSettings()
        self.lineage = LineageSettings()
        self.alerts = AlertSettings()
        self.slack = SlackSettings(_env_file=files)
        self.smtp = SmtpSettings(_env_file=files)
        self.privacy = PrivacySettings(_env_file=files)


@cache
def settings() -> Settings:
    """The settings of this process; SettingsError names the variable that cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        prefix = {cls.__name__: str(cls.model_config["env_prefix"]) for cls in GROUPS}[error.title]
        variable = prefix + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"setting {variable} cannot be used: {first['msg']} (value {first['input']!r})") from error


def generate_secrets() -> None:
    """Write the secrets that do not exist yet into the runtime folder's 0600 file, atomically; those that are there stay."""
    path = settings().runtime.secrets_file
    known = path.read_text() if path.exists() else ""
    have = dotenv_values(stream=io.StringIO(known))
    names = [f"LOGLAKE_POSTGRES_{role.upper()}_PASSWORD" for role in ROLES]
    names += ["LOGLAKE_AIRFLOW_JWT_SECRET", "LOGLAKE_PRIVACY_KEY"]
    wanted = {**dict.fromkeys(names, _password), "LOGLAKE_AIRFLOW_FERNET_KEY": _fernet_key}
    lacking = [f"{name}={make()}\n" for name, make in wanted.items() if not have.get(name)]
    if lacking:
        _write_secrets(known + ("" if known.endswith("\n") or not known else "\n") + "".join(lacking))


def replace_secret(name: str, value: str) -> None:
    """Put a secret of another installation in the place of the generated one."""
    path = settings().runtime.secrets_file
    lines = path.read_text().splitlines() if path.exists() else []
    kept = [line for line in lines if line.partition("=")[0].strip() != name]
    _write_secrets("".join(f"{line}\n" for line in [*kept, f"{name}={value}"]))


def _write_secrets(text: str) -> None:
    """Write the secrets' file: 0600, atomically. The settings are read anew after it."""
    path = settings().runtime.secrets_file
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.rename(path)
    settings.cache_clear()


def _password() -> str:
    alphabet = string.ascii_letters + string.digits
    return "".join(secrets.choice(alphabet) for _ in range(32))


def _fernet_key() -> str:
    """A Fernet key: 32 bytes in URL-safe base 64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def run_id() -> str:
    """The id of the Airflow run that this process, a task or a child of one, is part of; "" outside of any."""
    return os.environ.get("AIRFLOW_CTX_DAG_RUN_ID", "")


def child_environment(**extra: str) -> dict[str, str]:
    """The environment for a child process: this one's, with `extra` on top."""
    return {**os.environ, **extra}


def export(**variables: str) -> None:
    """Put variables into this process's environment, for libraries that start processes of their own from it."""
    os.environ.update(variables)
