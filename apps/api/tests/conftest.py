import pytest

from apps.api.tests.running import running, settings_for


@pytest.fixture
def settings(postgres_url, redis_url):
    return settings_for(postgres_url, redis_url)


@pytest.fixture
async def api(settings):
    """The server over an empty, migrated database."""
    async with running(settings) as server:
        yield server


@pytest.fixture
async def desk(settings, postgres_url):
    """The server over a database with a little of everything."""
    from apps.api.tests.seed import seed

    seed(postgres_url)
    async with running(settings) as server:
        yield server
