"""The margin ratio of a position; attempts at signing in."""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"

_SQL = Path(__file__).resolve().parents[1] / "sql"


def upgrade() -> None:
    with op.get_bind().connection.driver_connection.cursor() as cursor:
        cursor.execute((_SQL / "0006_margins_and_attempts.sql").read_text())


def downgrade() -> None:
    raise NotImplementedError("restore a backup of the earlier schema instead")
