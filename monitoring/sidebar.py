"""The filters: four choices in the sidebar, the same on every page, kept in the URL by Streamlit's own binding."""

import streamlit as st

from loglake.errors import ServiceError
from monitoring import filters, parts
from monitoring.filters import ALL, COUNTRY, DEVICE, EVENT_TYPE, RANGE, Filter
from monitoring.queries import live
from monitoring.reading import read


def choose() -> Filter:
    """Show the choices, and what of the URL could not be used; what is chosen."""
    asked = {name: str(st.query_params[name]) for name in filters.NAMES if name in st.query_params}
    countries = _countries()
    _note_problems(asked, countries)
    with st.sidebar:
        ranges = filters.range_options(asked.get(RANGE))
        chosen = st.selectbox("Time range", ranges, ranges.index(filters.DEFAULT_RANGE), key=RANGE, bind="query-params")
        country = st.selectbox("Region", filters.country_options(asked.get(COUNTRY), countries), key=COUNTRY, bind="query-params")
        event_type = st.selectbox("Event type", [ALL, *filters.EVENT_TYPES], key=EVENT_TYPE, bind="query-params")
        device = st.selectbox("Device", [ALL, *filters.DEVICES], key=DEVICE, bind="query-params")
    return Filter(chosen or filters.DEFAULT_RANGE, _one(country), _one(event_type), _one(device))


def _one(text: str | None) -> str | None:
    return None if text in (None, ALL) else text


def _countries() -> list[str]:
    """The countries that warehouse and live windows know; none where Postgres cannot say, which the page's parts will tell."""
    found: set[str] = set()
    for query in (live.COUNTRIES, live.LIVE_COUNTRIES):
        try:
            found |= set(read(query)["country"])
        except ServiceError:
            continue
    return sorted(found)


def _note_problems(asked: dict[str, str], countries: list[str]) -> None:
    """Streamlit takes what it cannot use out of the URL at once; what was wrong with it stays on the page until something is chosen."""
    said = filters.problems(asked, countries)
    if said:
        st.session_state["url_problems"] = (said, None)
    shown, state = st.session_state.get("url_problems", ([], None))
    now = tuple(st.session_state.get(name) for name in filters.NAMES)
    if shown and state is not None and state != now and None not in now:
        del st.session_state["url_problems"]
        return
    for line in shown:
        st.warning(parts.plain(line), icon=":material/link_off:")
    if shown and None not in now:
        st.session_state["url_problems"] = (shown, now)
