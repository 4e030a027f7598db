"""What keeps the ledger honest beyond 0001: months as chunks of a hypertable, where the server has TimescaleDB.

Only a ledger without facts is made one: nothing is ever moved. There is no way down.
"""

from alembic import op
from sqlalchemy import text

from storage.timescale import choose_hypertable

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    why_not = choose_hypertable(op.get_bind())
    name = text("INSERT INTO strikedesk.meta (name, value) VALUES ('months', :value)")
    op.get_bind().execute(name, {"value": f"partitions: {why_not}" if why_not else "chunks of a hypertable"})
