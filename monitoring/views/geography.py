"""Geography: where the events come from, by country and, of one country, by city."""

from datetime import timedelta

import pandas as pd
import streamlit as st

from loglake.settings import settings
from monitoring import charts, geography, parts, text
from monitoring.filters import Filter
from monitoring.queries import live, marts
from monitoring.reading import read

choice: Filter = st.session_state["choice"]
#: Ranges up to this are of the live windows, which count by country alone; longer ones of the marts.
LIVE = timedelta(hours=2)
is_live = choice.length <= LIVE
every = settings().monitor.refresh_seconds if is_live else 60
_MOST_CITIES = 15

parts.title("Geography", choice, what="From the live windows" if is_live else "From the marts")


def countries() -> pd.DataFrame:
    if is_live:
        return read(live.KEYS, length=choice.length, dimension="country", only=choice.country).rename(columns={"key": "country"})
    if choice.event_type:
        return read(marts.COUNTRIES_OF_TYPE, **parts.of_marts(choice), event_type=choice.event_type)
    return read(marts.COUNTRIES, **parts.of_marts(choice))


def cities(country: str) -> pd.DataFrame:
    if is_live:
        return read(live.CITIES, length=choice.length, of=country)
    return read(marts.CITIES, length=choice.length, of=country, event_type=choice.event_type, device=choice.device)


@st.fragment(run_every=every)
def by_country() -> None:
    with parts.guarded("The countries"):
        frame = countries()
        if is_live and (choice.event_type or choice.device):
            st.caption("The live windows count by country alone: event type and device are not applied in ranges up to two hours.")
        left, right = st.columns([5, 3])
        with left, parts.card("Events by country", frame, "events-by-country", choice):
            shown = geography.placed(frame)
            if shown.empty:
                parts.empty("No event with a country in this range")
            else:
                greatest = shown.sort_values("events", ascending=False)["country"].iloc[0]
                said = f"World map of {len(shown)} countries, most events from {greatest}; the table beside it has them all"
                parts.chart(geography.world(shown), "world", said)
                lost = int(frame["events"].sum() - shown["events"].sum())
                if lost:
                    st.caption(f"{lost:,} events name no country that is on the map; the table has them.")
        with right, parts.card("Countries", note="The share is of the events with a country"):
            if frame.empty:
                parts.empty("No country in this range")
            else:
                _country_table(frame)


def _country_table(frame: pd.DataFrame) -> None:
    shown = frame.assign(share=100 * frame["events"] / frame["events"].sum())
    whole = {"events": "Events", "sessions": "Sessions"}
    columns = {name: st.column_config.NumberColumn(label, format="localized") for name, label in whole.items() if name in shown}
    share = st.column_config.ProgressColumn("Share", format="%.1f%%", min_value=0, max_value=float(shown["share"].max()), width=110)
    order = ["country", *columns, "share"]
    parts.table(
        shown[order], "countries", "Countries by their events", {"country": "Country", **columns, "share": share}, height=parts.of_rows(10)
    )


@st.fragment(run_every=every)
def by_city() -> None:
    with parts.guarded("The cities"):
        names = list(countries()["country"])
        if not names:
            return
        with st.container(border=True):
            with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
                picked = st.selectbox("Cities of", names, key="city_country", width=280)
                frame = cities(picked)
                if len(frame):
                    parts.export(frame, "events-by-city", choice)
            if frame.empty:
                parts.empty("No city in this range")
                return
            drawn = charts.bars(frame.head(_MOST_CITIES), "city", "events", title="events", form=",")
            parts.chart(drawn, "cities", f"Cities of {picked}: most events from {frame['city'].iloc[0]}")
            if len(frame) > _MOST_CITIES:
                st.caption(f"The first {_MOST_CITIES} of {text.number(len(frame))} cities; the export has them all.")


by_country()
by_city()
