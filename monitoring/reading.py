"""Reading with a memory that all viewers share: a query is asked once in the time between two refreshes, however many look."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from loglake.settings import settings
from monitoring.database import airflow_database, database
from monitoring.queries import Query

#: What changes with each load only is kept for longer.
_SETTLED_SECONDS = 60.0
#: Different ranges and filters that are remembered.
_ENTRIES = 500


def read(query: Query, **params: Any) -> pd.DataFrame:
    """The rows of a query as of at most one refresh ago; ServiceError as `Database.ask`."""
    known = tuple(sorted(params.items()))
    return _settled(query.name, known, query) if query.settled else _fresh()(query.name, known, query)


@st.cache_data(ttl=_SETTLED_SECONDS, max_entries=_ENTRIES, show_spinner=False)
def _of_airflow(name: str, _query: Query) -> pd.DataFrame:  # noqa: ARG001 - the name is the memory's key
    return airflow_database().ask(_query, {})


def read_airflow(query: Query) -> pd.DataFrame:
    """The same of Airflow's database."""
    return _of_airflow(query.name, query)


@st.cache_resource
def _fresh() -> Callable[..., pd.DataFrame]:
    return st.cache_data(ttl=settings().monitor.refresh_seconds * 0.8, max_entries=_ENTRIES, show_spinner=False)(_ask)


@st.cache_data(ttl=_SETTLED_SECONDS, max_entries=_ENTRIES, show_spinner=False)
def _settled(name: str, params: tuple[tuple[str, object], ...], _query: Query) -> pd.DataFrame:
    return _ask(name, params, _query)


def _ask(name: str, params: tuple[tuple[str, object], ...], _query: Query) -> pd.DataFrame:  # noqa: ARG001 - the name is the memory's key
    return database().ask(_query, dict(params))
