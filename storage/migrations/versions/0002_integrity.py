"""What keeps the ledger honest beyond 0001: months as chunks of a hypertable, where the server has TimescaleDB.

Only a ledger without facts is made one: nothing is ever moved. There is no way down.
"""

from alembic import op

from storage.timescale import choose_hypertable

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    choose_hypertable(op.get_bind())
