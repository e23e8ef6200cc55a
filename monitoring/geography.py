"""Countries on a map: which shape a name means, and the map itself. Pure.

The shapes are Natural Earth's 1:110m (public domain), as npm's world-atlas 2.0.2 (ISC) packs them; Streamlit serves the file itself.
"""

import logging
from functools import cache

import altair as alt
import pandas as pd

from monitoring.charts import ACCENT, GREY

SHAPES = "/app/static/countries-110m.json"
_HEIGHT = 370


@cache
def _converter() -> object:
    import country_converter

    logging.getLogger("country_converter").setLevel(logging.ERROR)
    return country_converter.CountryConverter()


@cache
def shape_of(name: str) -> str | None:
    """The id of a country's shape, its ISO 3166 number with three digits; None for a name that means no country."""
    found = _converter().convert(name, to="ISOnumeric", not_found=None)  # type: ignore[attr-defined]
    return f"{int(found):03d}" if isinstance(found, int) or (isinstance(found, str) and found.isdigit()) else None


def placed(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows whose `country` has a shape, by its `id`: spellings of one country together."""
    known = frame.assign(id=[shape_of(name) for name in frame["country"]]).dropna(subset=["id"])
    return known.groupby("id", as_index=False).agg(country=("country", "first"), events=("events", "sum"))


def world(frame: pd.DataFrame) -> alt.LayerChart:
    """Countries shaded by their events, as the square root: so that small ones are seen beside great ones."""
    shapes = alt.topo_feature(SHAPES, "countries")
    # Nobody sends events from Antarctica, which would take a fifth of the map.
    inhabited = alt.Chart(shapes).transform_filter("datum.id != '010'")
    ground = inhabited.mark_geoshape(aria=False, fill=GREY, fillOpacity=0.16, stroke=GREY, strokeOpacity=0.35, strokeWidth=0.5)
    counted = (
        inhabited.transform_lookup("id", alt.LookupData(frame, "id", ["country", "events"]))
        .transform_filter("isValid(datum.events)")
        .mark_geoshape(fill=ACCENT, stroke=ACCENT, strokeWidth=0.6)
        .encode(
            fillOpacity=alt.FillOpacity("events:Q", legend=None, scale=alt.Scale(type="sqrt", domainMin=0, range=[0.12, 0.95])),
            tooltip=[alt.Tooltip("country:N", title=""), alt.Tooltip("events:Q", title="events", format=",")],
        )
    )
    return (ground + counted).project("equalEarth").properties(height=_HEIGHT)
