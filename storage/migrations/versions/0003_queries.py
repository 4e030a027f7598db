"""What the panels' and the API's queries need. There is no way down."""

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled by what needs it."""
