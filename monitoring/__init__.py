"""The monitor: Streamlit pages over the warehouse, the live windows and the services; run by the stack's service `monitor`."""
