"""The report as one HTML file: the visuals of `loglake.bi.pages`, read from the marts, for people without a BI tool."""
