"""How clients connect: no proxy of the environment comes between, and what a page says or why it says nothing."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from loglake import clients
from loglake.errors import ServiceError
from loglake.settings import settings

pytestmark = pytest.mark.unit


class Page(BaseHTTPRequestHandler):
    """`/json` answers with JSON, `/html` with something else, anything else with 404."""

    def do_GET(self) -> None:
        body = {"/json": json.dumps({"status": "ALIVE"}), "/html": "<html>"}.get(self.path)
        self.send_response(200 if body else 404)
        self.end_headers()
        self.wfile.write((body or "").encode())

    def log_message(self, *_: object) -> None:
        """Nothing: the test's output stays clean."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server of such pages, with a proxy in the environment that nobody answers at."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_page_is_asked_for_without_the_environments_proxy(server: str) -> None:
    assert clients.json_page(f"{server}/json") == {"status": "ALIVE"}


def test_hdfs_is_asked_without_the_environments_proxy(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGLAKE_HDFS_WEB_URL", server)
    settings.cache_clear()
    # The page is no WebHDFS, which answers 404 with a reason in JSON; but it was reached.
    assert clients.webhdfs().status("/x", strict=False) is None
    settings.cache_clear()


@pytest.mark.parametrize(("path", "said"), [("/other?qry=1", "HTTP 404"), ("/html", "JSONDecodeError")])
def test_a_page_that_says_nothing_is_one_line(server: str, path: str, said: str) -> None:
    with pytest.raises(ServiceError) as failed:
        clients.json_page(server + path)
    assert str(failed.value) == f"no answer from {server}{path.partition('?')[0]} ({said}): see `loglake status`"


def test_a_server_that_is_down_is_one_line() -> None:
    with pytest.raises(ServiceError, match=r"no answer from http://127.0.0.1:1/json \(ConnectionError\)"):
        clients.json_page("http://127.0.0.1:1/json")


def test_a_password_is_quoted_in_a_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGLAKE_POSTGRES_LOADER_PASSWORD", "a/b@c")
    settings.cache_clear()
    assert clients.postgres_uri("loader").startswith("postgresql://loader:a%2Fb%40c@127.0.0.1:")
    settings.cache_clear()
