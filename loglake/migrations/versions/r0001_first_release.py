"""The schema of 0.1.0, which knew no versions: whatever holds `raw.log_events` without one is this.

tests/data/schema-0.1.0.sql is how it looked.
"""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Nothing to do: `loglake.upgrades` comes here only where it is there."""
