"""The operational schema: specification sections 6 and 25.4 with D5, D6 and D43-D46.

With TimescaleDB in the database the monthly tables become hypertables, else native partitions (D4).
"""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None

_SQL = Path(__file__).resolve().parents[1] / "sql"


def upgrade() -> None:
    connection = op.get_bind().connection.driver_connection
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'")
        if cursor.fetchone():
            cursor.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            cursor.execute((_SQL / "0001_timescale.sql").read_text())
        else:
            cursor.execute((_SQL / "0001_initial.sql").read_text())


def downgrade() -> None:
    raise NotImplementedError("the first schema has nothing before it; drop the database instead")
