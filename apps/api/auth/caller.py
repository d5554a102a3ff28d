"""The one door: every route depends on ``authorise``, which asks the table before anything of the request is used."""

import hmac
import ipaddress
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from apps.api.auth.errors import CsrfError, ScopeNeededError, SignInNeededError
from apps.api.auth.identity import Identity, Kind
from apps.api.auth.policy import OPERATIONS, operation_of
from apps.api.auth.sessions import COOKIE, TOKEN_PREFIX, Sessions, csrf_of
from apps.api.security import SAFE_METHODS


async def authorise(connection: HTTPConnection) -> Identity | None:
    """Who asks for this route; None where nobody needs to be known. Raises an ``AuthError``."""
    rule = OPERATIONS[operation_of(connection.scope["route"])]
    if rule.role is None or (rule.metrics and from_this_machine(connection)):
        return None
    found = await identify(connection)
    if found is None:
        raise SignInNeededError
    found.obey(rule)
    return found


async def identify(connection: HTTPConnection) -> Identity | None:
    """Who asks, by token or cookie; a cookie alone changes nothing. Raises ``CsrfError`` and ``ScopeNeededError``."""
    sessions: Sessions = connection.app.state.resources.sessions
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.startswith(TOKEN_PREFIX):
        found = await sessions.of_token(token)
        if found is not None and found.kind is Kind.LOCAL and not from_this_machine(connection):
            raise ScopeNeededError("the token of the command line counts on its own machine only")
        return found
    cookie = connection.cookies.get(COOKIE, "")
    if not cookie:
        return None
    found = await sessions.of_cookie(cookie)
    if found is None or not changes(connection):
        return found
    if found.passing:
        return None
    given = connection.headers.get("x-csrf", "").encode()
    if not hmac.compare_digest(given, csrf_of(cookie).encode()):
        raise CsrfError
    return found


def changes(connection: HTTPConnection) -> bool:
    """Whether the request may change something. A socket only reads: its door is the check of Origin."""
    return connection.scope["type"] == "http" and connection.scope["method"] not in SAFE_METHODS


def from_this_machine(connection: HTTPConnection) -> bool:
    """Whether the peer is on this machine, and not a proxy that speaks for somebody else."""
    if connection.client is None or "x-forwarded-for" in connection.headers or "forwarded" in connection.headers:
        return False
    try:
        return ipaddress.ip_address(connection.client.host).is_loopback
    except ValueError:
        return False


Caller = Annotated[Identity, Depends(authorise)]
