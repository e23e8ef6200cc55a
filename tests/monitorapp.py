"""The monitor on a filled warehouse: what tests of its pages start from."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from loglake.metrics import serve
from loglake.metrics.auditor import Auditor
from loglake.settings import PROJECT, settings
from monitoring import database
from tests import monitorshop
from tests.stackfixture import free_ports
from tests.warehouserows import empty_warehouse

APP = PROJECT / "monitoring" / "app.py"
PAGES = ("live", "geography", "pipeline", "shop", "quality", "alerts")
SECONDS = 60


@contextmanager
def filled(name: str) -> Iterator[str]:
    """A database of this name with the shop in it, and an end point; this process's settings and the monitor's connections are of them."""
    with empty_warehouse(name) as made, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOGLAKE_POSTGRES_DATABASE", made)
        patch.setenv("LOGLAKE_METRICS_PORT", free_ports()["LOGLAKE_METRICS_PORT"])
        patch.setenv("LOGLAKE_METRICS_CACHE_SECONDS", "0")
        settings.cache_clear()
        monitorshop.fill(made)
        server = serve.start(Auditor(300))
        try:
            yield made
        finally:
            server.shutdown()
            server.server_close()
            forget()
    settings.cache_clear()


def forget() -> None:
    """Close the monitor's connections and forget what it read."""
    for known in (database.database, database.airflow_database):
        if known.cache_info().currsize:
            known().close()
            known.cache_clear()
    st.cache_data.clear()
    st.cache_resource.clear()


def opened(page: str, **params: str) -> AppTest:
    """A page as a new viewer sees it, with these parameters in the URL."""
    app = AppTest.from_file(str(APP), default_timeout=SECONDS)
    for name, value in params.items():
        app.query_params[name] = value
    app.run()
    if page != "live":
        app.switch_page(f"views/{page}.py").run()
    return app
