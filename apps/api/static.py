"""Serves the desk's pages: a Next static export with trailing slashes.

Only files found when the folder was walked can be served, looked up by their exact name, so there is no path to
escape with. A page below ``symbol/<X>/`` that was not exported is the one of ``symbol/_/``: the page reads the symbol
from the address.
"""

import base64
import hashlib
import mimetypes
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from apps.api.errors import problem, respond
from apps.api.responses import matches
from apps.api.security import page_csp
from packages.common.errors import InvalidInputError
from packages.common.symbol_map import validate_internal

IMMUTABLE = "public, max-age=31536000, immutable"  # names under _next/static change with their content
REVALIDATE = "no-cache"
_SCRIPT = re.compile(rb"<script(?P<attributes>[^>]*)>(?P<body>.*?)</script>", re.DOTALL | re.IGNORECASE)
_NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Perpilot</title>
<h1>The desk's pages are not built</h1>
<p>Run <code>make setup</code> (or <code>make web</code>) in the folder of Perpilot, then reload this page.</p>
<p>The API is up: <a href="/api/status">/api/status</a>, <a href="/api/openapi.json">/api/openapi.json</a>.</p></html>
"""


def script_hashes(html: bytes) -> tuple[str, ...]:
    """``sha256-…`` of every inline script of a page, in order, each once."""
    found = []
    for script in _SCRIPT.finditer(html):
        if b"src=" not in script["attributes"].lower() and script["body"]:
            found.append("sha256-" + base64.b64encode(hashlib.sha256(script["body"]).digest()).decode())
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Served:
    """A file, or a redirect to where it is, or neither."""

    name: str | None = None
    redirect: str | None = None


def resolve(path: str, names: frozenset[str]) -> Served:
    """What a decoded path asks of an export holding ``names`` (relative, with ``/``). Pure."""
    wanted = path.lstrip("/")
    if "\0" in wanted or "\\" in wanted:
        return Served()
    found = _named(wanted, names)
    if found == Served():
        parts = wanted.split("/")
        if len(parts) >= 2 and parts[0] == "symbol" and _is_symbol(parts[1]):
            found = _named("/".join(["symbol", "_", *parts[2:]]), names)
            if found.redirect is not None:
                found = Served(redirect="/" + wanted + "/")
    return found


def _named(wanted: str, names: frozenset[str]) -> Served:
    if wanted in names:
        return Served(wanted)
    if wanted == "" or wanted.endswith("/"):
        page = wanted + "index.html"
        return Served(page) if page in names else Served()
    return Served(redirect=f"/{wanted}/") if f"{wanted}/index.html" in names else Served()


def _is_symbol(text: str) -> bool:
    try:
        validate_internal(text)
    except InvalidInputError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Export:
    """One state of the folder."""

    stamp: int
    names: frozenset[str] = frozenset()
    csp: dict[str, str] = field(default_factory=dict)


def walk(root: Path, stamp: int) -> Export:
    """Read the folder: its files, and the policy of each page. Links that lead out of it are left out."""
    names, csp = [], {}
    base = root.resolve()
    for file in sorted(base.rglob("*")):
        if not file.is_file() or not file.resolve().is_relative_to(base):
            continue
        name = file.relative_to(base).as_posix()
        names.append(name)
        if name.endswith(".html"):
            csp[name] = page_csp(script_hashes(file.read_bytes()))
    return Export(stamp, frozenset(names), csp)


class Desk:
    """ASGI application over the export in ``root``; a rebuilt export is noticed by its start page."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._export = Export(-1)

    def refresh(self) -> Export:
        """The export as it is now; empty when there is none."""
        try:
            stamp = (self._root / "index.html").stat().st_mtime_ns
        except OSError:
            stamp = 0
        if stamp != self._export.stamp:
            self._export = walk(self._root, stamp) if stamp else Export(0)
        return self._export

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        request = Request(scope)
        path = scope["path"]
        if path in ("/api", "/ws", "/metrics") or path.startswith(("/api/", "/ws/")):
            await respond(problem("NOT_FOUND", "there is nothing here", instance=path))(scope, receive, send)
            return
        if request.method not in ("GET", "HEAD"):
            await respond(problem("METHOD_NOT_ALLOWED", "pages are read only", instance=path))(scope, receive, send)
            return
        answer = await run_in_threadpool(self._answer, request, path)
        await answer(scope, receive, send)

    def _answer(self, request: Request, path: str) -> Response:
        export = self.refresh()
        if not export.names:
            headers = {"Content-Security-Policy": page_csp(()), "Cache-Control": "no-store"}
            return Response(_NOT_BUILT, status_code=503, media_type="text/html", headers=headers)
        served = resolve(path, export.names)
        if served.redirect is not None:
            query = f"?{request.url.query}" if request.url.query else ""
            return Response(status_code=308, headers={"Location": _quoted(served.redirect) + query})
        if served.name is None:
            return self._file(request, export, "404.html", 404) if "404.html" in export.names else _missing()
        return self._file(request, export, served.name, 200)

    def _file(self, request: Request, export: Export, name: str, status: int) -> Response:
        file = self._root / name
        try:
            stat = file.stat()
        except OSError:
            return _missing()
        etag = f'W/"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
        headers = {"ETag": etag, "Cache-Control": IMMUTABLE if name.startswith("_next/static/") else REVALIDATE}
        if name in export.csp:
            headers["Content-Security-Policy"] = export.csp[name]
        if status == 200 and matches(request.headers.get("if-none-match"), etag):
            return Response(status_code=304, headers=headers)
        media = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return FileResponse(file, status_code=status, media_type=media, headers=headers, stat_result=stat)


def _missing() -> Response:
    return Response("there is no such page\n", status_code=404, media_type="text/plain")


def _quoted(path: str) -> str:
    return quote(path, safe="/")
