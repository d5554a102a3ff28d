"""What the desk changes: settings in use, overridden promotions, schedules."""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"

_SQL = Path(__file__).resolve().parents[1] / "sql"


def upgrade() -> None:
    with op.get_bind().connection.driver_connection.cursor() as cursor:
        cursor.execute((_SQL / "0005_desk_actions.sql").read_text())


def downgrade() -> None:
    raise NotImplementedError("the marks of overridden promotions stay; restore a backup of the earlier schema instead")
