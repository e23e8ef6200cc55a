"""The analyst's report, declared once: its measures and pages, the SQL they stand for, and the files that BI tools open."""
