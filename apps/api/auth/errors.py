"""Why somebody is not let in. The codes are stable; their status stands in ``apps.api.errors``."""

from typing import ClassVar

from packages.common.errors import PlatformError


class AuthError(PlatformError):
    """Root of them."""

    code: ClassVar[str] = "SIGN_IN_NEEDED"


class SignInNeededError(AuthError):
    """Nobody is signed in, or no longer."""

    def __init__(self) -> None:
        super().__init__("sign in first")


class SignInRefusedError(AuthError):
    """Name or password is wrong; which of them is not said."""

    code = "SIGN_IN_REFUSED"

    def __init__(self, message: str = "name, password or code is wrong") -> None:
        super().__init__(message)


class CodeNeededError(AuthError):
    """All is right so far: the second factor is missing."""

    code = "CODE_NEEDED"

    def __init__(self) -> None:
        super().__init__("code: expected the six digits of the second factor, or a recovery code")


class LinkRefusedError(AuthError):
    """The one-time link is unknown, used or too old."""

    code = "LINK_REFUSED"

    def __init__(self) -> None:
        super().__init__("the link is unknown, used or too old: `perpilot user link NAME` makes a new one")


class TooManyAttemptsError(AuthError):
    """Wait as long as ``Retry-After`` says. Never for good."""

    code = "TOO_MANY_ATTEMPTS"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many attempts: try again in {retry_after_s} s")
        self.headers = {"Retry-After": str(retry_after_s)}


class RoleNeededError(AuthError):
    """Signed in, but not trusted with this."""

    code = "ROLE_NEEDED"


class ScopeNeededError(AuthError):
    """The token was not made for this."""

    code = "SCOPE_NEEDED"


class CsrfError(AuthError):
    """A change without the proof that our page asks for it."""

    code = "CSRF"

    def __init__(self) -> None:
        super().__init__("X-CSRF: expected the session's token, as GET /api/auth/me tells it")


class StepUpNeededError(AuthError):
    """The second factor was not proven within the last minutes."""

    code = "STEP_UP_NEEDED"

    def __init__(self) -> None:
        super().__init__("a code of the second factor is needed: POST /api/auth/step-up, then ask again")
