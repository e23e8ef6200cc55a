"""What health gates are made of: is a port open, what does a server's JSON page say."""

import socket
from typing import Any

import requests

from loglake.settings import LOOPBACK

TIMEOUT_SECONDS = 5


def closed(port: int) -> str:
    """Why nothing can connect to a loopback port; "" when it is open."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=TIMEOUT_SECONDS).close()
    except OSError as error:
        return f"port {port}: {error.strerror or error}"
    return ""


def json_page(url: str) -> tuple[Any, str]:
    """The JSON a server answers with and "", or None and why there is none."""
    try:
        answer = requests.get(url, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        return answer.json(), ""
    except requests.RequestException as error:
        return None, f"{url} does not answer ({type(error).__name__})"
