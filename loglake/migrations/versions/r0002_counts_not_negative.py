"""No count of a load is negative: `books_balance` alone lets a count that is too high hide behind one that is below zero."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute(
        "alter table ops.load_manifest add constraint counts_not_negative "
        "check (least(files_read, rows_inserted, rows_duplicate, rows_rejected) >= 0)"
    )
