"""A transport of OpenLineage's client, and so of Airflow's provider: a file, to which each event is appended as a line of JSON."""

import os
from pathlib import Path
from typing import Any

import attr
from openlineage.client.serde import Serde
from openlineage.client.transport import Config, Transport


@attr.define
class LinesConfig(Config):
    """Where the file is."""

    path: str

    @classmethod
    def from_dict(cls, params: dict[str, Any]) -> "LinesConfig":
        return cls(params["path"])


class Lines(Transport):
    """Appends each event as a line of JSON, by one write: several processes may do so at once, and the client's own transport buffers."""

    kind = "lines"
    config_class = LinesConfig

    def __init__(self, config: LinesConfig) -> None:
        self._path = Path(config.path)

    def emit(self, event: Any) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, Serde.to_json(event).encode() + b"\n")
        finally:
            os.close(file)
