"""The embedded stack: every server of loglake as a local process under one supervisor, each behind a health gate."""
