"""Passwords: argon2id, checked in threads and few at once, in the same time whether there is such a user or not."""

import asyncio
import unicodedata
from collections.abc import Callable
from functools import cache

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from apps.api.auth.errors import TooManyAttemptsError
from packages.common.errors import InvalidInputError

LENGTH_MIN, LENGTH_MAX = 12, 256
_AT_ONCE, _WAITING_MAX = 2, 16  # a check takes 64 MiB
_DIFFERENT_MIN = 5
_hasher = PasswordHash((Argon2Hasher(),))


def accepted(password: str, name: str) -> str:
    """``password`` as it is hashed (NFC). Raises ``InvalidInputError``, which never quotes it."""
    text = unicodedata.normalize("NFC", password)
    if not LENGTH_MIN <= len(text) <= LENGTH_MAX:
        raise InvalidInputError("password", "<hidden>", f"{LENGTH_MIN} to {LENGTH_MAX} characters")
    if len(set(text)) < _DIFFERENT_MIN or name in text.lower():
        raise InvalidInputError("password", "<hidden>", "different characters, and not the name among them")
    return text


@cache
def _nobody() -> str:
    """What the password of an unknown user is compared with."""
    return _hasher.hash("nobody has this password")


class Passwords:
    """Checks of one process."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        _nobody()

    async def hash(self, password: str) -> str:
        """What is stored of an accepted password."""
        return str(await self._run(lambda: _hasher.hash(password)))

    async def matches(self, password: str, stored: str | None) -> bool:
        """Whether it is the stored one; None, of a user without password or unknown, takes as long and never is."""
        text = unicodedata.normalize("NFC", password[: LENGTH_MAX + 1])
        found = await self._run(lambda: _hasher.verify(text, stored or _nobody()))
        return bool(found) and stored is not None

    async def _run(self, work: Callable[[], str | bool]) -> str | bool:
        if self._waiting >= _WAITING_MAX:
            raise TooManyAttemptsError(2)
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1
