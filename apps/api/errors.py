"""RFC 9457 problem details: one table from the code of an error to the status of its answer.

Screens match on ``code``; ``status`` is for machines in between. Nothing internal leaks: an error without a code
answers INTERNAL and is logged where it is handled.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, ClassVar

import psycopg
import redis.exceptions
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from psycopg_pool import PoolClosed, PoolTimeout
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response

from packages.common.errors import InvalidInputError, PlatformError, StoreUnavailableError

log = structlog.get_logger(__name__)

PROBLEM_TYPE = "application/problem+json"
_ECHO_MAX = 100  # characters of a refused value that are shown back
_EXPECTED = {  # in our words where the checker's do not go on from "expected"
    "missing": "a value",
    "extra_forbidden": "no field of this name",
    "model_attributes_type": "an object",
    "model_type": "an object",
    "dict_type": "an object",
    "list_type": "a list",
}
_SECRET = frozenset({"password", "current", "code", "token"})  # fields whose values never are


class NotFoundError(PlatformError):
    """There is no such thing."""

    code: ClassVar[str] = "NOT_FOUND"


class ForbiddenError(PlatformError):
    """Asked from a place that may not ask: a foreign Host or Origin."""

    code: ClassVar[str] = "FORBIDDEN"


class RefusedError(PlatformError):
    """The state of the system does not allow it. ``conditions`` are all that are unmet, not only the first."""

    code: ClassVar[str] = "REFUSED"

    def __init__(self, message: str, conditions: Sequence["Condition"]) -> None:
        super().__init__(message)
        self.conditions = tuple(conditions)


class ConflictError(PlatformError):
    """Somebody else changed it in between."""

    code: ClassVar[str] = "CONFLICT"


class Condition(BaseModel):
    """One thing that must hold and does not."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str


class FieldError(BaseModel):
    """What was wrong with one field."""

    field: str
    value: str
    expected: str


class Problem(BaseModel):
    """An RFC 9457 problem. ``code`` is stable."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str | None = None
    errors: list[FieldError] = []
    conditions: list[Condition] = []


STATUS: dict[str, HTTPStatus] = {
    "INVALID_INPUT": HTTPStatus.UNPROCESSABLE_ENTITY,
    "NOT_FOUND": HTTPStatus.NOT_FOUND,
    "METHOD_NOT_ALLOWED": HTTPStatus.METHOD_NOT_ALLOWED,
    "FORBIDDEN": HTTPStatus.FORBIDDEN,
    "MISDIRECTED": HTTPStatus.MISDIRECTED_REQUEST,
    "REFUSED": HTTPStatus.CONFLICT,
    "CONFLICT": HTTPStatus.CONFLICT,
    "TOO_LARGE": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "UNSUPPORTED_MEDIA_TYPE": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "SCHEMA_MISMATCH": HTTPStatus.SERVICE_UNAVAILABLE,
    "SETTINGS": HTTPStatus.SERVICE_UNAVAILABLE,
    "STORE_UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
    "VENUE_UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
    "VENUE_REJECTED": HTTPStatus.BAD_GATEWAY,
    "SIGN_IN_NEEDED": HTTPStatus.UNAUTHORIZED,
    "SIGN_IN_REFUSED": HTTPStatus.UNAUTHORIZED,
    "CODE_NEEDED": HTTPStatus.UNAUTHORIZED,
    "LINK_REFUSED": HTTPStatus.UNAUTHORIZED,
    "TOO_MANY_ATTEMPTS": HTTPStatus.TOO_MANY_REQUESTS,
    "ROLE_NEEDED": HTTPStatus.FORBIDDEN,
    "SCOPE_NEEDED": HTTPStatus.FORBIDDEN,
    "CSRF": HTTPStatus.FORBIDDEN,
    "STEP_UP_NEEDED": HTTPStatus.FORBIDDEN,
    "INTERNAL": HTTPStatus.INTERNAL_SERVER_ERROR,
}
_HEADERS_OF_STATUS: dict[int, dict[str, str]] = {
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "2"},
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": 'Bearer realm="perpilot"'},
}
_CODE_OF_STATUS = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 413: "TOO_LARGE", 415: "UNSUPPORTED_MEDIA_TYPE"}


def problem(
    code: str,
    detail: str,
    *,
    instance: str | None = None,
    errors: Sequence[FieldError] = (),
    conditions: Sequence[Condition] = (),
) -> Problem:
    """The problem of ``code``; a code without a status of its own is our fault, 500."""
    status = STATUS.get(code, HTTPStatus.INTERNAL_SERVER_ERROR)
    return Problem(
        type=f"urn:perpilot:problem:{code.lower().replace('_', '-')}",
        title=status.phrase,
        status=status.value,
        detail=detail,
        code=code,
        instance=instance,
        errors=list(errors),
        conditions=list(conditions),
    )


def respond(found: Problem, headers: dict[str, str] | None = None) -> Response:
    """The answer that carries ``found``."""
    extra = _HEADERS_OF_STATUS.get(found.status, {})
    return Response(
        found.model_dump_json(exclude_none=True).encode(),
        status_code=found.status,
        media_type=PROBLEM_TYPE,
        headers={"Cache-Control": "no-store", **extra, **(headers or {})},
    )


def shown(value: object) -> str:
    """A refused value as it is echoed: short, and never raising."""
    text = value if isinstance(value, str) else repr(value)
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _ECHO_MAX else text[:_ECHO_MAX] + "…"


def from_exception(exc: Exception, path: str) -> Problem:
    """What an exception says to the caller."""
    match exc:
        case InvalidInputError():
            error = FieldError(field=exc.field, value=shown(exc.value), expected=exc.expected)
            detail = f"{error.field}: got {error.value!r}, expected {error.expected}"
            return problem(exc.code, detail, instance=path, errors=[error])
        case RefusedError():
            return problem(exc.code, str(exc), instance=path, conditions=exc.conditions)
        case PlatformError():
            return problem(exc.code, str(exc), instance=path)
        case RequestValidationError():
            errors = [_field_error(error) for error in exc.errors()]
            detail = "; ".join(f"{e.field}: got {e.value!r}, expected {e.expected}" for e in errors)
            return problem("INVALID_INPUT", detail, instance=path, errors=errors)
        case HTTPException():
            code = _CODE_OF_STATUS.get(exc.status_code, "INVALID_INPUT" if exc.status_code < 500 else "INTERNAL")
            return problem(code, str(exc.detail), instance=path)
        case psycopg.errors.UndefinedTable() | psycopg.errors.UndefinedColumn():
            return problem("STORE_UNAVAILABLE", "the database is not migrated to this version", instance=path)
        case psycopg.errors.QueryCanceled():
            return problem("STORE_UNAVAILABLE", "the database took too long to answer", instance=path)
        case PoolTimeout() | PoolClosed() | psycopg.OperationalError() | psycopg.InterfaceError():
            return problem("STORE_UNAVAILABLE", "the database cannot be reached", instance=path)
        case redis.exceptions.RedisError():
            return problem("STORE_UNAVAILABLE", "the bus cannot be reached", instance=path)
    return problem("INTERNAL", "something failed on our side; the log of the api says what", instance=path)


def _field_error(error: dict[str, Any]) -> FieldError:
    where = [str(part) for part in error["loc"] if part not in ("query", "body", "path", "header")]
    if error["type"] == "json_invalid":  # its place is a position in the text, its input what was read so far
        return FieldError(field="body", value="<hidden>", expected=f"JSON; {error['ctx']['error']} at {where[-1]}")
    missing = error["type"] == "missing"
    return FieldError(
        field=".".join(where) or "body",
        value="nothing" if missing else _echo(where, error.get("input")),
        expected=_EXPECTED.get(error["type"]) or _expectation(error),
    )


def _echo(where: list[str], value: object) -> str:
    """A refused value, unless it is secret or may hold what is."""
    return shown(value) if where and where[-1] not in _SECRET else "<hidden>"


def _expectation(error: dict[str, Any]) -> str:
    message: str = error["msg"]
    for prefix in ("Input should be ", "Value error, "):
        message = message.removeprefix(prefix)
    return message


def _handle(request: HTTPConnection, exc: Exception) -> Response:
    found = from_exception(exc, request.url.path)
    if found.code == "INTERNAL":
        log.error("request_failed", path=request.url.path, method=request.scope.get("method"), exc_info=exc)
    elif found.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("request_unserved", path=request.url.path, code=found.code, error=str(exc))
    headers = dict(getattr(exc, "headers", None) or {})  # of an HTTPException, or one of ours that has some
    return respond(found, headers)


def install(app: FastAPI) -> None:
    """Answer every error of ``app`` with a problem."""
    kinds: tuple[type[Exception], ...] = (
        PlatformError,
        RequestValidationError,
        HTTPException,
        psycopg.Error,
        PoolTimeout,
        PoolClosed,
        redis.exceptions.RedisError,
        Exception,
    )
    for kind in kinds:
        app.add_exception_handler(kind, _handle)


__all__ = [
    "Condition",
    "ConflictError",
    "FieldError",
    "ForbiddenError",
    "InvalidInputError",
    "NotFoundError",
    "Problem",
    "RefusedError",
    "StoreUnavailableError",
    "from_exception",
    "install",
    "problem",
    "respond",
]
