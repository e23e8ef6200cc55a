"""Pipeline: where the data is on its way from the topic to the marts, and whether each stage does its work."""

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from loglake.errors import LoglakeError
from loglake.settings import settings
from monitoring import charts, live_figures, parts, text
from monitoring.filters import Filter
from monitoring.looking import Seen, look, verdicts
from monitoring.pipeline import Inputs, flow, lag_rows, stages
from monitoring.queries import Query, live, pipeline
from monitoring.reading import read, read_airflow

choice: Filter = st.session_state["choice"]
every = max(settings().monitor.refresh_seconds, 10)

parts.title("Pipeline", choice, what="Each stage from the topic to the marts, the services, and the books")


def first(query: Query, **params: Any) -> dict[str, Any] | None:
    """The first row; None where there is none, or nobody can say: the stage shows that it is not known."""
    try:
        frame = read(query, **params)
    except LoglakeError:
        return None
    return None if frame.empty else {name: None if pd.isna(value) is True else value for name, value in frame.iloc[0].items()}


def built() -> dict[str, Any] | None:
    try:
        frame = read(pipeline.BUILT)
    except LoglakeError:
        return None
    facts = frame[frame["node"] == "fact_event"]
    return None if facts.empty else {**facts.iloc[0].to_dict(), "models": int((frame["node"] != "tests").sum())}


def inputs(seen: Seen) -> Inputs:
    windows = first(live.STATE)
    return Inputs(
        now=datetime.now(UTC),
        services=seen.rules.services if seen.rules else (),
        verdicts=tuple(verdicts(seen)),
        kafka=seen.kafka,
        lake=seen.lake,
        stream=first(pipeline.STREAM),
        load=first(pipeline.LOADS),
        built=built(),
        live=None if windows is None else {**windows, "stale_seconds": live_figures.STALE_SECONDS},
    )


@st.fragment(run_every=every)
def stage_flow() -> None:
    seen = look()
    st.caption(f"Asked {text.ago(seen.at, datetime.now(UTC))}")
    st.html(flow(stages(inputs(seen))))


@st.fragment(run_every=every)
def health() -> None:
    seen = look()
    left, right = st.columns([3, 2])
    with left:
        services(seen)
    with right:
        books(seen)


def services(seen: Seen) -> None:
    if seen.rules is None:
        st.error(f"The services could not be asked: {parts.plain(seen.reason('rules'))}", icon=":material/cloud_off:")
        return
    rows = [{"service": one.name, "state": "up" if one.ok else "down", "detail": one.detail} for one in seen.rules.services]
    airflow = seen.airflow
    for name, ok in (airflow.components if airflow else {"airflow": False}).items():
        detail = "healthy" if ok else seen.reason("airflow") or "not healthy by Airflow's own page"
        rows.append({"service": f"Airflow {name}" if airflow else "Airflow", "state": "up" if ok else "down", "detail": detail})
    frame = pd.DataFrame(rows)
    with parts.card("Services", frame, "services", choice):
        shown = frame.assign(state=frame["state"].map({"up": "● up", "down": "▲ down"}))
        parts.text_table(shown, {"service": "Service", "state": "State", "detail": "What it says"})
        config = settings()
        with st.container(horizontal=True):
            st.link_button("NameNode", config.hdfs.page, icon=":material/open_in_new:", type="tertiary")
            st.link_button("Spark master", config.spark.page, icon=":material/open_in_new:", type="tertiary")
            st.link_button("Airflow", config.airflow.page, icon=":material/open_in_new:", type="tertiary")


def books(seen: Seen) -> None:
    found = seen.audit
    rows = found.rows if found else {}
    frame = pd.DataFrame({"stage": list(rows), "rows": list(rows.values())})
    note = "As `loglake reconcile`, but of the lake's rows only their number; checked by the process behind the Prometheus end point"
    with parts.card("The books", frame, "books", choice, note=note):
        if found is None and seen.reason("audit"):
            parts.empty("The books cannot be read", seen.reason("audit"))
        elif found is None:
            parts.empty("The books have not been checked yet", "The first check ends some minutes after the start.")
        else:
            age = text.ago(found.checked_at, datetime.now(UTC))
            if found.findings:
                st.error(f"{len(found.findings)} findings, checked {age}: `loglake reconcile` names the stage", icon=":material/error:")
            else:
                st.success(f"The books balance, checked {age}", icon=":material/balance:")
            column = st.column_config.NumberColumn("Rows", format="localized")
            parts.table(frame, "books", "Rows that each stage accounts for", {"stage": "Stage", "rows": column}, height=parts.of_rows(6))


@st.fragment(run_every=every)
def throughput() -> None:
    left, right = st.columns([3, 2])
    with left, parts.guarded("What the stream brought"):
        frame = read(pipeline.THROUGHPUT, length=choice.length)
        with parts.card("Records into the lake", frame, "records-into-the-lake", choice):
            if frame.empty:
                parts.empty("The stream brought nothing in this range")
            else:
                days = choice.length.days > 1
                drawn = charts.area(frame, "at", "records", title="records", days=days)
                parts.chart(drawn, "throughput", f"{int(frame['records'].sum()):,} records in {len(frame)} spans of time")
    with right:
        partitions()


def partitions() -> None:
    seen, stream = look(), first(pipeline.STREAM)
    held = seen.kafka
    frame = pd.DataFrame(lag_rows(held, (stream or {}).get("end_offsets") or {})) if held else None
    with parts.card(
        "Kafka by partition", frame, "kafka-by-partition", choice, note="Records of each partition that the lake does not hold"
    ):
        if frame is None:
            parts.empty("Kafka does not answer", seen.reason("kafka"))
        else:
            columns = {
                name: st.column_config.NumberColumn(label, format="localized")
                for name, label in (
                    ("partition", "Partition"),
                    ("first", "First"),
                    ("end", "End"),
                    ("in_lake", "In the lake to"),
                    ("lag", "Lag"),
                )
            }
            parts.table(
                frame, "partitions", "First and end offset, how far the lake stream has come, and the lag of each partition", columns
            )
        if seen.hdfs:
            used, capacity, files = (seen.hdfs.get(f"loglake_hdfs_{name}") for name in ("used_bytes", "capacity_bytes", "files"))
            st.caption(f"HDFS: {text.size(used)} of {text.size(capacity)} used, {text.number(files)} files and folders")
        else:
            st.caption(f"HDFS: {parts.plain(seen.reason('hdfs')) or 'not known'}")


@st.fragment(run_every=every)
def runs() -> None:
    left, right = st.columns([3, 2])
    with left, parts.guarded("Airflow's runs"):
        frame = read_airflow(pipeline.RUNS)
        with parts.card("Runs of the DAGs", frame, "dag-runs", choice):
            columns = {
                "dag_id": "DAG",
                "state": "State",
                "run_id": None,
                "run_type": "Kind",
                "start_date": st.column_config.DatetimeColumn("Started", format="MM-DD HH:mm:ss", timezone="UTC"),
                "end_date": None,
                "seconds": st.column_config.NumberColumn("Took", format="%.1f s"),
            }
            if frame.empty:
                parts.empty("No run yet")
            else:
                parts.table(
                    frame, "runs", "The newest runs of the DAGs; good runs of the alert DAG are left out", columns, height=parts.of_rows(8)
                )
    with right, parts.guarded("Airflow's tasks"):
        frame = read_airflow(pipeline.TASKS)
        with parts.card("Tasks of the last batch", frame, "batch-tasks", choice):
            timed = frame.assign(task=frame["task_id"].str.rpartition(".")[2]).dropna(subset=["duration"])
            if timed.empty:
                parts.empty("No batch has ended yet")
            else:
                drawn = charts.bars(timed, "task", "duration", title="seconds", form=".1f")
                parts.chart(drawn, "tasks", "Seconds that each task of the last batch took")


@st.fragment(run_every=every)
def loads() -> None:
    with parts.guarded("The loads"):
        frame = read(pipeline.LOADS)
        with parts.card(
            "Loads", frame, "loads", choice, note="ops.load_manifest: rows read are inserted, duplicate and rejected ones together"
        ):
            if frame.empty:
                parts.empty("Nothing has been loaded yet", "`loglake load` loads now; the batch DAG does every ten minutes.")
                return
            whole = {
                name: st.column_config.NumberColumn(label, format="localized")
                for name, label in (
                    ("load_id", "Load"),
                    ("rows_read", "Read"),
                    ("rows_inserted", "Inserted"),
                    ("rows_duplicate", "Duplicate"),
                    ("rows_rejected", "Rejected"),
                    ("files_read", "Files"),
                )
            }
            columns = {
                **whole,
                "started_at": None,
                "seconds": st.column_config.NumberColumn("Took", format="%.1f s"),
                "committed_at": st.column_config.DatetimeColumn("Committed", format="MM-DD HH:mm:ss", timezone="UTC"),
            }
            parts.table(frame.head(10), "loads", "The newest ten loads", columns)


stage_flow()
health()
throughput()
runs()
loads()
