"""One tree of errors with stable codes; the API maps codes to HTTP status, screens match on them."""

from typing import ClassVar


class PlatformError(Exception):
    """Root of every error the product raises on purpose."""

    code: ClassVar[str] = "PLATFORM"


class InvalidInputError(PlatformError):
    """The caller's fault. Names the field, the value and what was expected."""

    code = "INVALID_INPUT"

    def __init__(self, field: str, value: object, expected: str) -> None:
        super().__init__(f"{field}: got {value!r}, expected {expected}")
        self.field, self.value, self.expected = field, value, expected


class SettingsError(PlatformError):
    """A setting is unknown or malformed; the start stops."""

    code = "SETTINGS"


class SchemaMismatchError(PlatformError):
    """A package, checkpoint or store was made for another schema or exchange."""

    code = "SCHEMA_MISMATCH"


class StoreUnavailableError(PlatformError):
    """Postgres, Redis or the research store cannot be reached; nothing was lost."""

    code = "STORE_UNAVAILABLE"


class VenueError(PlatformError):
    """Something between us and the exchange. ``venue_code`` is the exchange's number, when it gave one."""

    code = "VENUE"

    def __init__(self, message: str, *, venue_code: int | None = None, http_status: int | None = None) -> None:
        super().__init__(message)
        self.venue_code, self.http_status = venue_code, http_status


class VenueUnavailableError(VenueError):
    """Nothing was accepted; retry with backoff. ``retry_after_ms`` when the exchange said how long."""

    code = "VENUE_UNAVAILABLE"

    def __init__(
        self,
        message: str,
        *,
        venue_code: int | None = None,
        http_status: int | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(message, venue_code=venue_code, http_status=http_status)
        self.retry_after_ms = retry_after_ms


class VenueBannedError(VenueUnavailableError):
    """HTTP 418: every call from this address must stop until ``until_ts_ms`` (exchange time)."""

    code = "VENUE_BANNED"


class VenueRejectedError(VenueError):
    """A definite no."""

    code = "VENUE_REJECTED"


class OutcomeUnknownError(VenueError):
    """It may have happened: ask before acting (execution.md 1-3)."""

    code = "OUTCOME_UNKNOWN"
