"""Market history beside the facts. There is no way down."""

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled by what needs it."""
