"""Answers made of bytes: columns by orjson, with an ETag so that an unchanged history costs 304 and no bytes."""

import hashlib
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import orjson
from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "Unchanged since the ETag."}}


def encode(value: Any) -> bytes:
    """JSON of ``value``; numpy arrays are lists, NaN and infinities null."""
    return orjson.dumps(value, option=_OPTIONS)


def etag_of(body: bytes) -> str:
    """ETag of the body; weak, since it stands for every content coding of it."""
    return f'W/"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether the caller already holds ``etag`` (weak comparison, RFC 9110 §13.1.2)."""
    if if_none_match is None:
        return False
    held = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return etag.removeprefix("W/") in held or "*" in held


class HistoryRoute(APIRoute):
    """A route whose answers to GET carry an ETag, so that what has not changed costs 304 and no bytes."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of the route, with the tag put on what it answers."""
        handle = super().get_route_handler()

        async def tagged(request: Request) -> Response:
            answer = await handle(request)
            if request.method != "GET" or answer.status_code != HTTPStatus.OK or "etag" in answer.headers:
                return answer
            answer.headers["ETag"] = etag = etag_of(bytes(answer.body))
            answer.headers["Cache-Control"] = "private, no-cache"
            if not matches(request.headers.get("if-none-match"), etag):
                return answer
            kept = {name: answer.headers[name] for name in ("ETag", "Cache-Control", "Link") if name in answer.headers}
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=kept)

        return tagged


def link_next(request: Request, response: Response, cursor: str | None) -> None:
    """Name the next page of a bare list in a Link header (RFC 8288); none follows the last."""
    if cursor is not None:
        response.headers["Link"] = f'<{request.url.path}?{urlencode(_but(request, cursor))}>; rel="next"'


def _but(request: Request, cursor: str) -> list[tuple[str, str]]:
    return [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"] + [
        ("cursor", cursor)
    ]


def cached(request: Request, body: bytes, etag: str) -> Response:
    """200 with ``body``, or 304 when the caller holds it."""
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)
