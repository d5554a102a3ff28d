"""Who may ask, and what a browser may do with the answer.

The desk listens on loopback (D35), which any web page can reach from the trader's own browser. Two checks keep such
pages out before there is any sign-in: the Host must be ours (a rebound DNS name is not), and whatever changes state or
opens a socket must come from our own origin.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apps.api.errors import problem, respond

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
WILDCARDS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - names that mean "everywhere", never matched as a host
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
BODY_MAX = 64 * 1024  # bytes of a request

API_CSP = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def page_csp(script_hashes: Iterable[str]) -> str:
    """Policy of one page: own files, and the inline scripts of its export by their hashes, nothing else.

    Styles stay open to inline ones: charts place their elements with them, and a style cannot act.
    """
    scripts = " ".join(["'self'", *(f"'{digest}'" for digest in script_hashes)])
    return (
        f"default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "font-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )


def allowed_hosts(configured: str) -> frozenset[str]:
    """Names under which this server may be asked for: loopback, and the address it was told to listen on."""
    return LOOPBACK | ({configured.strip("[]").lower()} - WILDCARDS)


def host_name(header: str) -> str | None:
    """The name in a Host header, lower-case, without port and brackets; None when malformed."""
    if not header or any(c in header for c in "/\\@?# \t,"):
        return None
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port  # raises when it is no port
    except ValueError:
        return None
    return parts.hostname


def same_origin(origin: str, host: str) -> bool:
    """Whether ``origin`` (scheme://host[:port]) names the server that was asked as ``host``."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower() and origin.count("/") == 2


def refusal(scope: Scope, hosts: frozenset[str]) -> tuple[str, str] | None:
    """(code, detail) why this request is not served, or None. Pure: looks at method, path and headers only."""
    headers = Headers(scope=scope)
    host = headers.get("host", "")
    if len(headers.getlist("host")) != 1 or host_name(host) not in hosts:
        return "MISDIRECTED", "Host: expected the name this desk is served under, such as localhost"
    changes = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
    if not changes:
        return None
    origins = headers.getlist("origin")  # absent: not a browser
    if len(origins) > 1 or (origins and not same_origin(origins[0], host)):
        return "FORBIDDEN", "Origin: expected the desk's own"
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return "FORBIDDEN", "Sec-Fetch-Site: expected same-origin"
    if scope["type"] == "http":
        # a form of a foreign page can send neither this type nor, in a browser, leave Origin out
        if headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            return "UNSUPPORTED_MEDIA_TYPE", "Content-Type: expected application/json"
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > BODY_MAX:
            return "TOO_LARGE", f"body: expected at most {BODY_MAX} bytes"
    return None


class Gate:
    """ASGI middleware: refuses what ``refusal`` names, bounds bodies, puts the headers on every answer."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        refused = refusal(scope, self.hosts)
        if scope["type"] == "websocket":
            if refused is not None:
                await _reject_socket(refused, scope, receive, send)
            else:
                await self.app(scope, receive, send)
            return
        send = _with_headers(send, scope["path"])
        if refused is not None:
            await respond(problem(*refused, instance=scope["path"]))(scope, receive, send)
        else:
            await self.app(scope, _bounded(receive), send)


def _bounded(receive: Receive) -> Receive:
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > BODY_MAX:
            raise HTTPException(413, f"body: expected at most {BODY_MAX} bytes")
        return message

    return bounded


def _with_headers(send: Send, path: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Content-Security-Policy", API_CSP)
            if path.startswith("/api/"):
                headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sending


async def _reject_socket(refused: tuple[str, str], scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the upgrade itself with a problem where the server can, so that no socket ever opens."""
    await receive()  # websocket.connect
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    answer = respond(problem(*refused, instance=scope["path"]))
    start: dict[str, Any] = {"type": "websocket.http.response.start", "status": answer.status_code}
    await send(start | {"headers": answer.raw_headers})
    await send({"type": "websocket.http.response.body", "body": bytes(answer.body)})
