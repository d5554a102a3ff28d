"""What one process of the API holds open, and the aliases by which handlers ask for it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from apps.api.audit import Chain
from apps.api.auth.sessions import Sessions
from apps.api.auth.sign_in import SignIn
from apps.api.auth.vault import Vault
from apps.api.bus_tail import BusTail
from apps.api.cache import BodyCache
from apps.api.channels import Snapshots
from apps.api.db import Connection, Pool, make_pool
from apps.api.gateway import Hub
from apps.api.metrics import Metrics
from packages.common.config import Settings
from packages.common.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Resources:
    """Everything a handler may use."""

    settings: Settings
    pool: Pool
    redis: Redis
    metrics: Metrics
    hub: Hub
    tail: BusTail
    bodies: BodyCache
    sessions: Sessions
    sign_in: SignIn
    chain: Chain


def build(settings: Settings, metrics: Metrics) -> Resources:
    """Wire one process; nothing is opened yet. Raises ``SettingsError`` without the two addresses."""
    if settings.database_url is None or settings.redis_url is None:
        raise SettingsError("DATABASE_URL, REDIS_URL: got nothing, expected the addresses of PostgreSQL and Redis")
    pool = make_pool(settings.database_url)
    # No retry inside the client: who calls decides, and a request must not wait for a bus that is away.
    redis = Redis.from_url(
        settings.redis_url, socket_connect_timeout=2, socket_timeout=5, retry=Retry(NoBackoff(), 0), protocol=2
    )
    hub = Hub(Snapshots(pool, settings).read, metrics)
    real_money = settings.exchange != "emulator"
    sessions = Sessions(pool, real_money=real_money)
    sign_in = SignIn(pool, sessions, Vault(settings.var_dir.resolve()), real_money)
    return Resources(settings, pool, redis, metrics, hub, BusTail(redis, hub), BodyCache(), sessions, sign_in, Chain())


def resources(request: Request) -> Resources:
    """The resources of the application that serves ``request``."""
    held: Resources = request.app.state.resources
    return held


Res = Annotated[Resources, Depends(resources)]


async def _connection(res: Res) -> AsyncIterator[Connection]:
    async with res.pool.connection() as conn:
        yield conn


# Given back before the answer is sent: a slow reader must not hold a connection.
Db = Annotated[Connection, Depends(_connection, scope="function")]


def _settings(res: Res) -> Settings:
    return res.settings


Config = Annotated[Settings, Depends(_settings)]
