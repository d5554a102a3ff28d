"""A person in a browser: cookies, and the page's token with every change."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pyotp

from apps.api.auth import accounts
from apps.api.auth.policy import Role
from apps.api.tests.running import Running
from packages.common.time import wall_ms

PASSWORD = "correct horse battery"
NOW_MS = wall_ms()  # for codes, in a test that stops their clock there


@dataclass
class Browser:
    """``me``: what the last answer said of who is signed in. ``said``: every answer there was, as text."""

    client: aiohttp.ClientSession
    me: dict[str, Any] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    async def ask(self, method: str, path: str, status: int, headers: dict[str, str] | None = None, **body: Any) -> Any:
        sent = {"X-CSRF": self.me["csrf"]} if self.me.get("csrf") else {}
        json = body if method == "POST" else None
        async with self.client.request(method, path, json=json, headers={**sent, **(headers or {})}) as answer:
            text = await answer.text()
            self.said.append(text)
            assert answer.status == status, text
            found = await answer.json(content_type=None) if text else None
        if isinstance(found, dict) and "signed_in" in found:
            self.me = found
        return found

    async def get(self, path: str, status: int = 200) -> Any:
        return await self.ask("GET", path, status)

    async def post(self, path: str, status: int = 200, **body: Any) -> Any:
        return await self.ask("POST", path, status, **body)

    @property
    def cookie(self) -> str:
        return next((cookie.value for cookie in self.client.cookie_jar if cookie.key == "pp_session"), "")


@contextlib.asynccontextmanager
async def browser(server: Running) -> AsyncIterator[Browser]:
    """Nobody yet."""
    jar = aiohttp.CookieJar(unsafe=True)  # also of an address without a name
    async with aiohttp.ClientSession(server.base, cookie_jar=jar) as client:
        yield Browser(client)


async def user(server: Running, name: str, role: Role = Role.VIEWER) -> str:
    """A new user; the token of his one-time link."""
    async with server.resources.pool.connection() as conn:
        return await accounts.add_user(conn, name, role, actor="test")


@contextlib.asynccontextmanager
async def person(server: Running, name: str, role: Role = Role.VIEWER, password: str | None = PASSWORD):
    """A new user who has just used his link, with a password."""
    token = await user(server, name, role)
    async with browser(server) as found:
        extra = {} if password is None else {"password": password}
        await found.post("/api/auth/link", token=token, **extra)
        yield found


def code_of(secret: str, steps: int = 0) -> str:
    """What the app shows ``steps`` half minutes from now; the next one counts as well."""
    return pyotp.TOTP(secret).generate_otp(NOW_MS // 30_000 + steps)


async def add_totp(found: Browser) -> tuple[str, list[str]]:
    """(secret, recovery codes) of a new second factor. It was confirmed with the code of the step before."""
    started = await found.post("/api/auth/totp")
    confirmed = await found.post("/api/auth/totp/confirm", code=code_of(started["secret"], -1))
    return started["secret"], confirmed["recovery_codes"]
