import itertools

import psycopg
import pytest
import pytest_asyncio

from apps.api.tests.running import running, settings_for
from apps.api.tests.seed import seed

_serial = itertools.count()


@pytest.fixture
def settings(postgres_url, redis_url):
    return settings_for(postgres_url, redis_url)


@pytest_asyncio.fixture
async def api(settings):
    """The server over an empty, migrated database."""
    async with running(settings) as server:
        yield server


@pytest_asyncio.fixture
async def desk(settings, postgres_url):
    """The server over a database with a little of everything."""
    seed(postgres_url)
    async with running(settings) as server:
        yield server


def fresh_database(server, *, seeded=False):
    """A migrated database of one module's own."""
    name = f"api_{next(_serial)}"
    with psycopg.connect(server.url_of("postgres"), autocommit=True) as conn:
        conn.execute(f'CREATE DATABASE "{name}" TEMPLATE perpilot STRATEGY file_copy')
    if seeded:
        seed(server.url_of(name))
    return server.url_of(name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_api(postgres_server, redis_server):
    """As ``api``, one for a module whose tests change nothing; they run in the module's loop."""
    async with running(settings_for(fresh_database(postgres_server), redis_server.url)) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_desk(postgres_server, redis_server):
    """As ``desk``, one for a module whose tests change nothing; they run in the module's loop."""
    async with running(settings_for(fresh_database(postgres_server, seeded=True), redis_server.url)) as server:
        yield server
