"""The database enforces promotion by evidence (D31)."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"

_SQL = Path(__file__).resolve().parents[1] / "sql"


def upgrade() -> None:
    with op.get_bind().connection.driver_connection.cursor() as cursor:
        cursor.execute((_SQL / "0002_model_pointer_guard.sql").read_text())


def downgrade() -> None:
    raise NotImplementedError("the guard stays; restore a backup of the earlier schema instead")
