"""Who may log in to Airflow: one user by a file (`simple`), or users with roles in Airflow's database (`fab`)."""

import json
import os
from pathlib import Path

from loglake.settings import settings

_SIMPLE, _FAB = (
    "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
    "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
)


def options() -> dict[str, dict[str, str]]:
    """Airflow's options by section. FAB reads a file of Python code when there is one: ours is never there."""
    config = settings().airflow
    if config.auth == "fab":
        return {"core": {"auth_manager": _FAB}, "fab": {"config_file": str(_home() / "webserver_config.py"), "enable_proxy_fix": "False"}}
    user = {"simple_auth_manager_users": f"{config.user}:admin", "simple_auth_manager_passwords_file": str(_password_file())}
    return {"core": {"auth_manager": _SIMPLE, **user}}


def write_password_file() -> None:
    """SimpleAuthManager reads its users' passwords from a JSON file; FAB needs none."""
    config = settings().airflow
    if config.auth == "fab":
        return
    content = json.dumps({config.user: config.password.get_secret_value()}) + "\n"
    path = _password_file()
    if path.is_file() and path.read_text() == content:
        return
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(content)


def _home() -> Path:
    return settings().runtime.runtime_dir / "airflow"


def _password_file() -> Path:
    return _home() / "passwords.json"
