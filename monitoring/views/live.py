"""Live: what has happened in the last minutes, as it happens."""

import json

import pandas as pd
import streamlit as st

from loglake.settings import settings
from monitoring import charts, live_figures, parts, text
from monitoring.filters import Filter
from monitoring.queries import live
from monitoring.reading import read

choice: Filter = st.session_state["choice"]
every = settings().monitor.refresh_seconds
DIMENSIONS = {"Event type": "event_type", "Country": "country", "Device": "device"}
LONGEST_SEARCH = 100

parts.title("Live", choice, what="Windows of event time, as the live stream counts them")


@st.fragment(run_every=every)
def now() -> None:
    with parts.guarded("The live view"):
        state = read(live.STATE)
        fresh = live_figures.freshness(state)
        st.markdown(f":{fresh.colour}-badge[:material/{fresh.icon}: {fresh.word}] :gray[{fresh.detail}]")
        minutes, revenue = read(live.MINUTES), read(live.REVENUE_MINUTES)
        if minutes.empty:
            parts.empty("No window has been counted yet", "Send some events: `loglake generate --rate 50`")
            return
        parts.figures(live_figures.figures(minutes, revenue))


@st.fragment(run_every=every)
def rates() -> None:
    left, right = st.columns([3, 2])
    with left, parts.guarded("Events per second"):
        selected, what = live_figures.series_of(choice)
        frame = read(selected, length=choice.length, **what)
        with parts.card(
            "Events per second", frame, "events-per-second", choice, note="Per window of 10 s; of a minute in ranges over 15 min"
        ):
            if frame.empty:
                parts.empty("No events in this range")
            else:
                drawn = live_figures.per_second(frame)
                parts.chart(
                    charts.area(drawn, "window_start", "rate", title="events/s"),
                    "rate",
                    live_figures.sentence(drawn, "events per second"),
                )
            if len(choice.chosen) > 1:
                st.caption("The windows count by one filter at a time: this is by the first. The events below are filtered by all.")
    with right, parts.guarded("Latency"):
        frame = read(live.TOTALS, length=choice.length)
        with parts.card("Latency", frame, "latency", choice, note="Percentiles of latency_ms, all events"):
            drawn = live_figures.latencies(frame)
            if drawn.empty:
                parts.empty("No latencies in this range")
            else:
                said = live_figures.sentence(
                    drawn[drawn["percentile"] == "p95"].rename(columns={"ms": "rate"}), "ms at the 95th percentile"
                )
                parts.chart(charts.lines(drawn, "window_start", "ms", "percentile", title="ms"), "latency", said)


@st.fragment(run_every=every)
def by_key() -> None:
    with parts.guarded("Events by dimension"), st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.subheader("Events by", anchor=False, width="content")
            picked = st.segmented_control(
                "Events by", list(DIMENSIONS), default="Event type", required=True, key="by", label_visibility="collapsed"
            )
            frame = read(live.BY_KEY, length=choice.length, dimension=DIMENSIONS[picked or "Event type"], keys=8)
            if len(frame):
                parts.export(frame, f"events-by-{DIMENSIONS[picked or 'Event type'].replace('_', '-')}", choice)
        if frame.empty:
            parts.empty("No events in this range")
            return
        drawn = live_figures.per_second(frame, "key")
        parts.chart(
            charts.stacked(drawn, "window_start", "rate", "key", title="events/s"),
            "by-key",
            f"Events per second by {picked}, stacked",
        )


@st.fragment(run_every=every)
def tops() -> None:
    for place, (heading, dimension) in zip(
        st.columns(3), (("Most viewed products", "product"), ("Most searched", "search"), ("Errors by code", "error_code")), strict=True
    ):
        with place, parts.guarded(heading):
            frame = read(live.KEYS, length=choice.length, dimension=dimension, only=None).head(8)
            with parts.card(heading, frame, f"top-{dimension.replace('_', '-')}", choice):
                if frame.empty:
                    parts.empty("None in this range")
                else:
                    drawn = charts.bars(frame, "key", "events", title="events", form=",")
                    parts.chart(drawn, f"top-{dimension}", f"{heading}: first is {frame['key'].iloc[0]}")


@st.fragment(run_every=every)
def payments() -> None:
    left, right = st.columns(2)
    with left, parts.guarded("Payments"):
        frame = read(live.PAYMENTS, length=choice.length)
        with parts.card("Orders by payment method", frame, "payments", choice):
            if frame.empty:
                parts.empty("No order in this range")
            else:
                columns = {
                    "payment_method": "Method",
                    "currency": "Currency",
                    "orders": st.column_config.NumberColumn("Orders", format="localized"),
                    "revenue": st.column_config.NumberColumn("Revenue", format="accounting"),
                }
                parts.table(frame, "payments", "Orders and revenue by payment method and currency", columns)
    with right, parts.guarded("Late events"):
        frame = read(live.LATE, length=choice.length)
        with parts.card(
            "Too late for their window", frame, "late", choice, note="Events that came when their window was closed; the lake has them"
        ):
            if frame.empty:
                parts.empty("No event came too late")
            else:
                drawn = charts.columns(live_figures.late(frame), "minute", "events", title="events", days=False)
                parts.chart(drawn, "late", f"{int(frame['events'].sum()):,} events came too late")


@st.fragment(run_every=every)
def tail() -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.subheader("Latest events", anchor=False, width="stretch")
            asked = st.text_input(
                "Search in events",
                key="search",
                max_chars=LONGEST_SEARCH,
                placeholder="Search in the JSON text",
                width=280,
                icon=":material/search:",
                type="search",
                label_visibility="collapsed",
            )
            held = st.toggle("Pause", key="pause", help="Keep these events while you read")
        with parts.guarded("Latest events"):
            if not held or "held_tail" not in st.session_state:
                st.session_state["held_tail"] = read(live.TAIL, **_wanted(), search=asked or "")
            frame = st.session_state["held_tail"]
            if frame.empty:
                parts.empty("No event matches", "Of the newest ones that are kept; change the filters or the search.")
                return
            _show_tail(frame)


def _wanted() -> dict[str, str | None]:
    return {"country": choice.country, "event_type": choice.event_type, "device": choice.device}


def _show_tail(frame: pd.DataFrame) -> None:
    columns = {
        "received_at": st.column_config.DatetimeColumn("Received", format="HH:mm:ss.SSS", timezone="UTC"),
        "event_type": "Event",
        "country": "Country",
        "city": "City",
        "device": "Device",
        "user_id": "User",
        "reject_reason": "Rejected",
        **dict.fromkeys(("payload", "topic", "partition", "offset", "event_time", "event_id")),
    }
    picked = st.dataframe(
        frame.fillna(dict.fromkeys(("event_type", "country", "city", "device", "user_id", "reject_reason"), "")),
        hide_index=True,
        column_config=columns,
        height=parts.of_rows(8),
        key="tail",
        on_select="rerun",
        selection_mode="single-row",
        alt="The newest events; choose a row to open it",
    )
    rows = [row for row in picked.selection.rows if row < len(frame)]
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(f"{len(frame)} events. Choose a row to open it as JSON." if not rows else "The chosen event:", width="stretch")
        parts.export(frame, "latest-events", choice)
    if rows:
        one = frame.iloc[rows[0]]
        st.caption(f"{one['topic']} partition {one['partition']} offset {one['offset']}, received {text.moment(one['received_at'])} UTC")
        if one["payload"]:
            st.json(json.loads(one["payload"]))
        else:
            st.info(f"Rejected: {parts.plain(str(one['reject_reason']))}. `loglake rejects show` has its bytes.")


now()
rates()
by_key()
tops()
payments()
tail()
