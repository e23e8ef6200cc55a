"""Quality: what was rejected, what came late or twice, what dbt's tests say, how fresh the marts are, and which contract is in use."""

from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from loglake import models
from monitoring import charts, parts, text
from monitoring.filters import Filter
from monitoring.parts import Figure
from monitoring.queries import pipeline, quality
from monitoring.reading import read

chosen: Filter = st.session_state["choice"]
choice = chosen.at_least_a_day()
every = 60
when = st.column_config.DatetimeColumn
whole = st.column_config.NumberColumn

parts.title("Quality", choice, what="Rejects, duplicates and late events; dbt's tests; the freshness of the marts. A day at least")


@st.fragment(run_every=every)
def shares() -> None:
    with parts.guarded("The books"):
        loads, newest = read(quality.SHARES, length=choice.length), read(quality.NEWEST)
        read_rows = int(loads["rows_read"].sum())
        events, late = int(newest["events"].sum()), int(newest["late"].sum())
        versions = ", ".join(str(version) for version in newest["schema_version"]) or text.NOTHING
        parts.figures(
            [
                Figure("Rows loaded", text.number(read_rows), help="In this range, by ops.load_manifest"),
                Figure("Rejected", text.percent(loads["rows_rejected"].sum(), read_rows), help="Of the rows loaded in this range"),
                Figure("Duplicates", text.percent(loads["rows_duplicate"].sum(), read_rows), help="Of the rows loaded in this range"),
                Figure("Late events", text.percent(late, events), help=f"Over a minute on their way, of the newest {events:,} events"),
                Figure("Contract", versions, help=f"Schema versions of the newest {events:,} events"),
            ]
        )


@st.fragment(run_every=every)
def rejects() -> None:
    left, right = st.columns([2, 3])
    with left, parts.guarded("The rejects"):
        frame = read(quality.REJECTS, length=choice.length)
        with parts.card("Rejects over time", frame, "rejects-over-time", choice):
            if frame.empty:
                parts.empty("Nothing was rejected in this range")
            else:
                drawn = charts.columns(frame, "at", "records", title="records", key="reason", days=choice.length.days > 2)
                parts.chart(drawn, "rejects", f"{int(frame['records'].sum()):,} rejected records over time, by reason")
    with right, parts.guarded("The reasons"):
        frame = read(quality.SAMPLES)
        note = "Of all time. The sample is the newest; `loglake rejects show` prints its bytes"
        with parts.card("Reasons", frame, "reject-reasons", choice, note=note):
            if frame.empty:
                parts.empty("Nothing was ever rejected")
            else:
                columns = {
                    "reason": "Reason",
                    "records": whole("Records", format="localized"),
                    "last_seen": when("Last", format="MM-DD HH:mm", timezone="UTC"),
                    "sample": st.column_config.TextColumn("Sample", width="medium"),
                    "position": "Topic/partition/offset",
                }
                parts.table(frame, "reasons", "Reject reasons with the newest sample of each", columns)


@st.fragment(run_every=every)
def tests() -> None:
    left, right = st.columns(2)
    with left:
        dbt()
    with right, parts.guarded("The marts"):
        frame = read(pipeline.BUILT)
        with parts.card("Freshness of the marts", frame, "freshness", choice, note="The last load that each model holds"):
            if frame.empty:
                parts.empty("Nothing has been built yet")
            else:
                columns = {
                    "node": "Model",
                    "load_id": whole("Load", format="localized"),
                    "behind": whole("Loads behind", format="localized"),
                    "updated_at": when("Built", format="MM-DD HH:mm:ss", timezone="UTC"),
                }
                parts.table(frame, "freshness", "Models and the last load that each holds", columns, height=parts.of_rows(9))


def dbt() -> None:
    """Of dbt's own record of its last run."""
    results = models.results_file()
    if not results.exists():
        with parts.card("dbt"):
            parts.empty("dbt has not run yet", "`loglake model` runs it now.")
        return
    run = models.last_results()
    age = text.ago(datetime.fromtimestamp(results.stat().st_mtime, UTC), datetime.now(UTC))
    names = ["kind", "name", "status", "rows", "seconds", "message"]
    frame = pd.DataFrame([[getattr(node, name) for name in names] for node in run.nodes], columns=names)
    frame["rows"] = frame["rows"].map(lambda rows: "" if pd.isna(rows) else f"{int(rows):,}")
    with parts.card("dbt's last run", frame, "dbt", choice):
        failed = [node for node in run.nodes if node.failed]
        tested = sum(node.kind == "test" for node in run.nodes)
        for node in failed:
            st.error(parts.plain(f"{node.kind} {node.name}: {node.message}"), icon=":material/error:")
        if not failed:
            st.success(f"{tested} tests and {len(run.nodes) - tested} models and snapshots passed, {age}", icon=":material/verified:")
        columns = {
            "kind": "Kind",
            "name": st.column_config.TextColumn("Name", width="medium"),
            "status": "Status",
            "rows": "Rows",
            "seconds": whole("Took", format="%.2f s"),
            "message": None,
        }
        parts.table(
            frame.sort_values("seconds", ascending=False),
            "dbt",
            "Models and tests of dbt's last run, the slowest first",
            columns,
            height=parts.of_rows(7),
        )


shares()
rejects()
tests()
