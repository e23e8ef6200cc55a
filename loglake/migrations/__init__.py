"""Alembic's revisions: what brings an older warehouse to what `loglake.warehouse` declares. `loglake.upgrades` runs them."""
