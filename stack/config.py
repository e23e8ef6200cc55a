"""The configuration supervisor runs the stack with: a pure function of the services and the runtime folder."""

import hashlib
import os
import shlex
import tempfile
from collections.abc import Iterable
from pathlib import Path

from loglake.errors import ServiceError
from stack.service import Service

#: In the environment of every process of a stack: the runtime folder it belongs to.
MARK = "LOGLAKE_STACK"
#: A unix socket's path has at most 107 characters, and supervisor appends a dot and its pid while it binds.
_LONGEST_SOCKET = 107 - len(".4194304")
_LOG_BYTES, _LOG_BACKUPS = "10MB", 3
#: A service that ends sooner than this after its start has failed to start; that often in a row, supervisor gives up.
_START_SECONDS, _START_RETRIES = 3, 20


def socket_path(runtime: Path) -> Path:
    """Where supervisor listens: in the runtime folder, or in a private folder of /tmp when that path is too long."""
    path = runtime / "supervisor.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET:
        return path
    digest = hashlib.sha256(os.fsencode(runtime)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"loglake-{os.geteuid()}-{digest}" / "supervisor.sock"


def render(services: Iterable[Service], runtime: Path, logs: Path) -> str:
    """The text of supervisord.conf: nothing starts by itself, what dies is started again."""
    sections = {
        "unix_http_server": {"file": str(socket_path(runtime)), "chmod": "0700"},
        "rpcinterface:supervisor": {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        "supervisord": _daemon(runtime, logs),
        **{f"program:{service.name}": _program(service, logs) for service in services},
    }
    return "\n".join(f"[{name}]\n" + "".join(f"{key}={_value(value)}\n" for key, value in keys.items()) for name, keys in sections.items())


def _daemon(runtime: Path, logs: Path) -> dict[str, str]:
    user = {"user": "root"} if os.geteuid() == 0 else {}
    files = {"pidfile": str(runtime / "supervisord.pid"), "logfile": str(logs / "supervisord.log"), "childlogdir": str(logs)}
    return {**files, "logfile_maxbytes": _LOG_BYTES, "logfile_backups": str(_LOG_BACKUPS), "umask": "027", **user}


def _program(service: Service, logs: Path) -> dict[str, str]:
    restart = {"autorestart": "true"}
    if service.final_exit_codes:
        restart = {"autorestart": "unexpected", "exitcodes": ",".join(str(code) for code in service.final_exit_codes)}
    return {
        "command": shlex.join(service.command),
        "directory": str(service.directory),
        # The ports are named so that supervisor sees a changed one as a changed service; many servers read theirs from a file.
        "environment": environment({**service.environment, "LOGLAKE_STACK_PORTS": " ".join(str(port.number) for port in service.ports)}),
        "autostart": "false",
        **restart,
        "startsecs": str(_START_SECONDS),
        "startretries": str(_START_RETRIES),
        "stopsignal": service.stop_signal,
        "stopwaitsecs": str(service.stop_seconds),
        "stopasgroup": str(service.stop_group).lower(),
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": str(logs / f"{service.name}.log"),
        "stdout_logfile_maxbytes": _LOG_BYTES,
        "stdout_logfile_backups": str(_LOG_BACKUPS),
    }


def environment(variables: dict[str, str]) -> str:
    """`KEY="value",…` as supervisor reads it: quotes are stripped from both ends, and nothing can be escaped."""
    return ",".join(f"{name}={_quoted(name, value)}" for name, value in variables.items())


def _quoted(name: str, value: str) -> str:
    quote = "'" if '"' in value else '"'
    if quote in value or value[:1] in {"'", '"'} or value[-1:] in {"'", '"'}:
        raise ServiceError(f"the value of {name} cannot be handed to supervisor: it mixes quotes, or starts or ends with one: {value!r}")
    return f"{quote}{value}{quote}"


def _value(text: str) -> str:
    """A value of the ini file: `%` starts an expansion, and a space before `;` or `#` a comment."""
    if " ;" in text or " #" in text or "\n" in text:
        raise ServiceError(f"supervisor cannot take a space before `;` or `#`, nor a line break: {text!r}")
    return text.replace("%", "%%")
