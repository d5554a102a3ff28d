"""Keys: where they come from and what they sign (reference §7.1). No secret leaves this module.

A key is taken from the environment or from a file that only its owner can read. It is not kept as text: what is left
of it is a function that signs, so that no ``repr``, log line, error or copy can show it.
"""

import base64
import hashlib
import hmac
import os
import stat
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from packages.common.errors import InvalidInputError

KEY_VARIABLE, SECRET_VARIABLE, FILE_VARIABLE = "EXCHANGE_API_KEY", "EXCHANGE_API_SECRET", "EXCHANGE_KEY_FILE"
_HIDDEN = "<hidden>"
_FILE_MAX = 16_384


class Credentials:
    """An account's key: ``key`` names it to the exchange, ``sign`` proves it. It cannot be printed, copied or pickled.

    ``secret``: the text of an HMAC key, or an Ed25519 private key in PEM, which is recognised by its first line.
    """

    __slots__ = ("_key", "_sign")

    def __init__(self, key: str, secret: str) -> None:
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise InvalidInputError(KEY_VARIABLE, _HIDDEN, "the exchange's key: printable ASCII without spaces")
        if not secret.strip():
            raise InvalidInputError(SECRET_VARIABLE, _HIDDEN, "a secret that is not empty")
        self._key = key
        self._sign = _ed25519(secret) if secret.lstrip().startswith("-----BEGIN") else _hmac(secret.strip())

    @property
    def key(self) -> str:
        """For the header ``X-MBX-APIKEY`` and nothing else."""
        return self._key

    def sign(self, payload: str) -> str:
        """Signature of the exact text that is sent, encoded for a query string or a form."""
        return self._sign(payload.encode())

    def redact(self, text: bytes) -> bytes:
        """``text`` without the key, should the other side echo it."""
        return text.replace(self._key.encode(), _HIDDEN.encode())

    def __repr__(self) -> str:
        return f"Credentials({_HIDDEN})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials are not copied")


def _hmac(secret: str) -> Callable[[bytes], str]:
    key = secret.encode()
    return lambda payload: hmac.new(key, payload, hashlib.sha256).hexdigest()


def _ed25519(pem: str) -> Callable[[bytes], str]:
    # ``from None``: what the parser says may quote what it read.
    try:
        # An environment variable has no line breaks: "\n" stands for one there.
        key = load_pem_private_key(pem.strip().replace("\\n", "\n").encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidInputError(SECRET_VARIABLE, _HIDDEN, "an unencrypted Ed25519 private key in PEM") from None
    return lambda payload: quote(base64.b64encode(key.sign(payload)), safe="")


def load_credentials(environment: Mapping[str, str]) -> Credentials | None:
    """The key the environment names, None when it names none.

    Either ``EXCHANGE_API_KEY`` with ``EXCHANGE_API_SECRET``, or ``EXCHANGE_KEY_FILE``: a TOML file with ``key`` and
    ``secret`` (PEM in triple quotes). Raises ``InvalidInputError``, which never quotes what was read.
    """
    key, secret, file = (environment.get(name, "") for name in (KEY_VARIABLE, SECRET_VARIABLE, FILE_VARIABLE))
    if file:
        if key or secret:
            raise InvalidInputError(FILE_VARIABLE, file, f"no {KEY_VARIABLE} and {SECRET_VARIABLE} beside it")
        return read_key_file(Path(file))
    if not key and not secret:
        return None
    for name, value in ((KEY_VARIABLE, key), (SECRET_VARIABLE, secret)):
        if not value:
            raise InvalidInputError(name, None, "a value, because its other half is set")
    return Credentials(key, secret)


def read_key_file(path: Path) -> Credentials:
    """Read a key from a regular file of ours with mode 0600 or stricter; refuse every other."""
    try:
        # One descriptor for the check and the read: what was checked is what is read, and no link is followed.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as exc:
        raise InvalidInputError(FILE_VARIABLE, str(path), f"a file that can be read ({exc.strerror})") from None
    try:
        status = os.fstat(descriptor)
        mode = stat.S_IMODE(status.st_mode)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or mode & 0o177:
            expected = f"a regular file of this user with mode 0600, not {mode:04o}"
            raise InvalidInputError(FILE_VARIABLE, str(path), expected)
        text = os.read(descriptor, _FILE_MAX)
    finally:
        os.close(descriptor)
    try:
        entries = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        entries = {}
    key, secret = entries.get("key"), entries.get("secret")
    if not isinstance(key, str) or not isinstance(secret, str):
        raise InvalidInputError(FILE_VARIABLE, str(path), 'TOML with key = "…" and secret = "…"') from None
    return Credentials(key, secret)
