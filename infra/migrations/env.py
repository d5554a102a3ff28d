"""Alembic's entry: one connection, one transaction a run, no autogeneration (the SQL is written by hand)."""

import os

from alembic import context
from sqlalchemy import create_engine, pool


def _address() -> str:
    url = context.config.attributes.get("url") or os.environ.get("DATABASE_URL")
    if not url:
        raise SystemExit("DATABASE_URL is not set: say which database to migrate")
    return (
        str(url).replace("postgresql://", "postgresql+psycopg://", 1).replace("postgres://", "postgresql+psycopg://", 1)
    )


if context.is_offline_mode():
    raise SystemExit("offline mode is not supported: read infra/migrations/sql instead")

engine = create_engine(_address(), poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
