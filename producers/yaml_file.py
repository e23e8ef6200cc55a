"""Files that a user writes in YAML, read and checked."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from loglake.errors import BadInputError

Model = TypeVar("Model", bound=BaseModel)


def load(path: Path, model: type[Model], kind: str, keys: str) -> Model:
    """What a file of this kind says; BadInputError names the file and the line or the key that is wrong. `keys`: some that it may hold."""
    try:
        document: Any = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{kind} {path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "somewhere"
        raise BadInputError(f"{kind} {path}, {where}: {getattr(error, 'problem', None) or 'no YAML'}") from error
    if not isinstance(document, dict):
        raise BadInputError(f"{kind} {path}: a {kind} file holds keys such as {keys}")
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if part != "[key]")
        message = first["msg"].removeprefix("Value error, ")
        raise BadInputError(f"{kind} {path}: {f'{key}: ' if key else ''}{message}") from error
