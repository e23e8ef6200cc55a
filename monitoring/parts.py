"""The parts that every page is made of: title, cards with their exports, figures, and what is shown when there is nothing to show."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import altair as alt
import pandas as pd
import streamlit as st

from loglake.errors import LoglakeError
from monitoring import charts, exports
from monitoring.database import NotThereError, TooSlowError
from monitoring.filters import Filter, range_label
from monitoring.text import SAME


@dataclass(frozen=True)
class Figure:
    """A number with its change against the time before, and the line of how it came there."""

    label: str
    value: str
    delta: str | None = None
    line: Sequence[float] | None = None
    help: str | None = None
    less_is_better: bool = False


def title(text: str, choice: Filter, *, what: str) -> None:
    """The page's heading, and below it what is looked at."""
    st.html(_STYLE)
    st.title(text, anchor=False)
    chosen = " · ".join(["UTC", range_label(choice.range), *choice.chosen])
    st.caption(f"{what}  \n{plain(chosen)}")


def figures(row: Sequence[Figure]) -> None:
    """Figures side by side; they wrap where the screen is narrow."""
    with st.container(horizontal=True, gap="small", key=f"figures-{row[0].label}"):
        for one in row:
            st.metric(
                one.label, one.value, one.delta, border=True, help=one.help, width=_WIDTH, height="stretch",
                delta_color=_tone(one), delta_arrow="off" if one.delta == SAME else "auto",
                chart_data=list(one.line) if one.line is not None and len(one.line) > 1 else None, chart_type="area",
            )  # fmt: skip


def _tone(one: Figure) -> Literal["off", "inverse", "blue"]:
    """Of the change and the line: more is neither good nor bad, but of what there should be little."""
    if not one.less_is_better:
        return "blue"
    return "off" if one.delta == SAME else "inverse"


#: Pixels at least: six beside each other on a desktop, two on a phone; monitoring/static/style.css lets them grow to the row's width.
_WIDTH = 150
_STYLE = Path(__file__).with_name("static") / "style.css"


@contextmanager
def card(
    heading: str, frame: pd.DataFrame | None = None, name: str = "", choice: Filter | None = None, *, note: str = ""
) -> Iterator[None]:
    """A bordered box with a heading and, where there are rows, their export at its right."""
    with st.container(border=True, height="stretch"):
        with st.container(
            horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", wrap=False, key=f"head-{heading}"
        ):
            st.subheader(heading, anchor=False, help=note or None, width="content")
            if frame is not None and choice is not None and len(frame):
                export(frame, name, choice)
        yield


def export(frame: pd.DataFrame, name: str, choice: Filter) -> None:
    """A button that opens two: the rows as CSV, the rows as Parquet."""
    stem = exports.file_name(name, choice)
    with st.popover("Export", icon=":material/download:", type="tertiary", help=f"Save these {len(frame):,} rows as a file"):
        st.download_button("CSV", partial(exports.csv, frame), f"{stem}.csv", "text/csv", key=f"csv-{name}", on_click="ignore",
                           icon=":material/table:", width="stretch")  # fmt: skip
        st.download_button("Parquet", partial(exports.parquet, frame), f"{stem}.parquet", "application/vnd.apache.parquet",
                           key=f"parquet-{name}", on_click="ignore", icon=":material/deployed_code:", width="stretch")  # fmt: skip


def of_marts(choice: Filter) -> dict[str, Any]:
    """What the questions about sessions take."""
    return {"length": choice.length, "country": choice.country, "device": choice.device}


def ink() -> str:
    """The colour of text upon a filled shape in the viewer's theme."""
    return charts.ink(st.context.theme.type)


def chart(drawn: alt.Chart | alt.LayerChart, name: str, alt_text: str) -> None:
    st.altair_chart(drawn, key=f"chart-{name}", alt=alt_text)


def table(frame: pd.DataFrame, name: str, alt_text: str, columns: dict[str, Any] | None = None, height: int | str = "content") -> None:
    """A table that is only read. Small ones are real HTML tables, which screen readers know."""
    st.dataframe(frame, hide_index=True, column_config=columns, key=f"table-{name}", alt=alt_text, height=height)  # type: ignore[arg-type]


def of_rows(number: int) -> int:
    """The height of a table that shows so many rows whole, in pixels."""
    return 35 * (number + 1) + 2


#: Colours of the marks that states begin with.
_MARKS = {"▲": "red", "?": "orange", "●": "green"}


def text_table(frame: pd.DataFrame, labels: dict[str, str]) -> None:
    """A small table whose texts wrap: a real HTML table. Nothing in a cell is taken for mark-up; a state has its mark's colour."""
    shown = frame[list(labels)].rename(columns=labels)
    st.table(shown.map(lambda value: _cell(str(value))), border="horizontal", hide_index=True)


def _cell(text: str) -> str:
    colour = _MARKS.get(text[:1])
    return f":{colour}[{plain(text)}]" if colour and text[1:2] == " " else plain(text)


def empty(text: str, hint: str = "") -> None:
    """There is nothing to show, and why."""
    with st.container(horizontal_alignment="center", vertical_alignment="center", height="content", gap="xsmall", border=False):
        st.space("medium")
        st.markdown(f":gray[:material/inbox: **{plain(text)}**]", text_alignment="center")
        if hint:
            st.caption(hint, text_alignment="center")
        st.space("medium")


@contextmanager
def guarded(what: str) -> Iterator[None]:
    """Where a part of a page cannot be read the part says so, and the rest of the page is shown."""
    try:
        yield
    except NotThereError:
        with st.container(border=True, height="stretch"):
            empty(f"{what}: nothing there yet", "Run `loglake up` after an update; the marts come with the first run of `loglake_batch`.")
    except TooSlowError as error:
        st.warning(f"{what}: {plain(str(error))}. Choose a shorter time range.", icon=":material/timer_off:")
    except LoglakeError as error:
        st.error(f"{what} cannot be read. {plain(str(error))}. See `loglake status`.", icon=":material/cloud_off:")


#: What Markdown could take for mark-up.
_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\*_{}[]()<>#$~|:"})
_CODE = re.compile(r"(`[^`]+`)")


def plain(text: str) -> str:
    """Text for Markdown that is shown as it is, but for `commands`; an address in it is no link."""
    pieces = _CODE.split(text.replace("://", "\u2060://"))
    return "".join(piece if place % 2 else piece.translate(_SPECIAL).replace("`", "\\`") for place, piece in enumerate(pieces))
