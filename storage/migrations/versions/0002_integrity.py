"""What keeps the ledger honest beyond 0001. There is no way down."""

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled by what needs it."""
