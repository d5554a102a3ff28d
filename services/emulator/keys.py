"""API keys and the signature of a request (§7.1): who asks, is the request whole, is it of now."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import unquote_plus

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from packages.common.errors import InvalidInputError
from services.emulator.params import ApiError, missing, number

RECV_WINDOW_MS = 5_000
MOST_RECV_WINDOW_MS = 60_000
AHEAD_MS = 1_000


@dataclass(frozen=True)
class ApiKey:
    """A key of ``account``. ``secret`` is that of HMAC, or the PEM of an Ed25519 public key.

    ``deposit``: USDT that the account starts with, when this key is the first to name it.
    """

    key: str
    secret: str
    account: str = "main"
    trade: bool = True
    withdraw: bool = False
    deposit: Decimal = Decimal(10_000)

    def __post_init__(self) -> None:
        if not self.key or not self.secret:
            raise InvalidInputError("key", self.key, "a key and its secret")
        if self.ed25519:
            try:
                found = load_pem_public_key(self.secret.encode())
            except ValueError as error:
                raise InvalidInputError("secret", "…", "the PEM of an Ed25519 public key") from error
            if not isinstance(found, Ed25519PublicKey):
                raise InvalidInputError("secret", "…", "the PEM of an Ed25519 public key")

    @property
    def ed25519(self) -> bool:
        return self.secret.startswith("-----BEGIN PUBLIC KEY-----")

    def signed(self, payload: bytes, signature: str) -> bool:
        """Whether ``signature`` (decoded from the request) is this key's for exactly these bytes."""
        if not self.ed25519:
            wanted = hmac.new(self.secret.encode(), payload, hashlib.sha256).hexdigest()
            return hmac.compare_digest(wanted.encode(), signature.lower().encode())
        found = load_pem_public_key(self.secret.encode())
        assert isinstance(found, Ed25519PublicKey)
        try:
            found.verify(base64.b64decode(signature.replace(" ", "+"), validate=True), payload)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


# Everybody may know it: it opens nothing but a market that does not exist.
TEST_KEY = ApiKey(
    "perpilotEmulatorTestKey0000000000000000000000000000000000000001",
    "perpilotEmulatorTestSecret00000000000000000000000000000000000001",
)


class KeyRing:
    """Keys by their text.

    ``ahead_ms``: how far before the server's a timestamp may be. ``stretch``: factor of every recvWindow; above 1 only
    where market time moves by whole minutes, for elsewhere clients rely on being refused when their window is over.
    """

    def __init__(self, keys: Iterable[ApiKey], ahead_ms: float = AHEAD_MS, stretch: float = 1.0) -> None:
        self._keys = {key.key: key for key in keys}
        self._ahead_ms, self._stretch = ahead_ms, stretch

    def holder(self, header: str | None, address: str, *, trading: bool) -> ApiKey:
        """The key of ``X-MBX-APIKEY``; -2014 without one, -2015 when it is unknown or may not do this."""
        if not header:
            raise ApiError(-2014, "API-key format invalid.", 401)
        key = self._keys.get(header)
        if key is None or (trading and not key.trade):
            raise ApiError(-2015, f"Invalid API-key, IP, or permissions for action, request ip: {address}", 401)
        return key

    def check(self, key: ApiKey, params: Mapping[str, str], payload: bytes, clocks: Iterable[int]) -> None:
        """Time and signature. ``clocks``: the server's, and what else counts as its time."""
        window = number(params, "recvWindow")
        window = RECV_WINDOW_MS if window is None else window
        if not 0 < window <= MOST_RECV_WINDOW_MS:
            raise ApiError(-1131, f"recvWindow must be less than {MOST_RECV_WINDOW_MS}")
        stamp = number(params, "timestamp")
        if stamp is None:
            raise missing("timestamp")
        if not params.get("signature"):
            raise missing("signature")
        ages = [now - stamp for now in clocks]
        if not any(-self._ahead_ms < age <= window * self._stretch for age in ages):
            if ages[0] < 0:
                raise ApiError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
            raise ApiError(-1021, "Timestamp for this request is outside of the recvWindow.")
        if not key.signed(payload, params["signature"]):
            raise ApiError(-1022, "Signature for this request is not valid.")


def read(query: str, body: str) -> tuple[dict[str, str], bytes]:
    """Parameters of the raw query and the raw form body (the query wins), and the bytes that were signed.

    The payload is the query followed directly by the body, each without its ``signature``; nothing is decoded.
    """
    params: dict[str, str] = {}
    payload = ""
    for part in (query, body):
        pairs = [pair for pair in part.split("&") if pair]
        for pair in pairs:
            name, _, value = pair.partition("=")
            params.setdefault(unquote_plus(name), unquote_plus(value))
        payload += "&".join(pair for pair in pairs if not pair.startswith("signature="))
    return params, payload.encode()
