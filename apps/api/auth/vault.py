"""Secrets that must be read again, sealed with a key that lies outside the database (``VAR_DIR/keys/desk.key``)."""

import contextlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from packages.common.errors import StoreUnavailableError

_NAME = "VAR_DIR/keys/desk.key"


class Vault:
    """Seals and opens with the key of this ``VAR_DIR``, made at the first use."""

    def __init__(self, var_dir: Path) -> None:
        self._path = var_dir / "keys" / "desk.key"

    def seal(self, text: str) -> str:
        """``text``, of use only with the key. Raises ``StoreUnavailableError``."""
        return Fernet(self._key()).encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """What was sealed. Raises ``StoreUnavailableError`` when it was sealed with another key."""
        try:
            return Fernet(self._key()).decrypt(sealed.encode()).decode()
        except InvalidToken as exc:
            raise StoreUnavailableError(
                f"{_NAME} is not the key that second factors were sealed with; restore it, or "
                "`perpilot user reset-totp NAME`"
            ) from exc

    def digest(self, text: str) -> bytes:
        """What stands for ``text`` where it is only recognised: of use only with the key, even if it can be guessed."""
        return hmac.digest(self._key(), text.encode("utf-8", "surrogateescape"), "sha256")

    def _key(self) -> bytes:
        try:
            if not self._path.exists():
                self._make()
            if stat.S_IMODE(self._path.stat().st_mode) & 0o077:
                raise StoreUnavailableError(f"{_NAME} can be read by others; chmod 600 it")
            key = self._path.read_bytes()
            Fernet(key)
        except OSError as exc:
            raise StoreUnavailableError(f"{_NAME}: {exc.strerror or exc}") from exc
        except ValueError as exc:
            raise StoreUnavailableError(f"{_NAME} holds no key; restore it") from exc
        return key

    def _make(self) -> None:
        """In one step: two who come first at once agree on one key."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._path.with_name(f".{secrets.token_hex(8)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, self._path)
        draft.unlink()
