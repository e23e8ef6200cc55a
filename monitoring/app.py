"""The monitor's entry: `streamlit run monitoring/app.py`; the stack's service `monitor` runs it."""

from pathlib import Path

import streamlit as st

from monitoring import sidebar

_PICTURES = Path(__file__).with_name("static")

st.set_page_config("loglake", str(_PICTURES / "icon.svg"), layout="wide", menu_items={"About": "The monitor of loglake: docs/monitor.md"})
st.logo(str(_PICTURES / "logo.svg"), size="large", icon_image=str(_PICTURES / "icon.svg"))

page = st.navigation(
    [
        st.Page("views/live.py", title="Live", icon=":material/bolt:", default=True),
        st.Page("views/geography.py", title="Geography", icon=":material/public:"),
        st.Page("views/pipeline.py", title="Pipeline", icon=":material/account_tree:"),
        st.Page("views/shop.py", title="Shop", icon=":material/storefront:"),
        st.Page("views/quality.py", title="Quality", icon=":material/verified:"),
        st.Page("views/alerts.py", title="Alerts", icon=":material/notifications:"),
    ]
)
st.session_state["choice"] = sidebar.choose()
page.run()
