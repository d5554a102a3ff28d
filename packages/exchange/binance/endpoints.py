"""Where the exchange lives: hosts and paths per profile. Only this table differs between venues."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from urllib.parse import quote

from packages.common.errors import InvalidInputError

# Each category of streams has its own path, and a stream on the wrong path is silent (reference §1.2).
STREAM_PATHS: Mapping[str, str] = MappingProxyType(
    {"public": "/public/stream", "market": "/market/stream", "private": "/private/stream"}
)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Base addresses without a trailing slash; the first host is preferred, the others serve when it cannot be had."""

    rest: tuple[str, ...]
    ws: tuple[str, ...]
    stream_paths: Mapping[str, str] = field(default_factory=lambda: STREAM_PATHS)
    weight_limit_1m: int = 2400
    # Account events: any of the forms of reference §1.2 with the key in the address will do.
    user_path: str = "/private/ws?listenKey={key}"
    # The host of ``/sapi``, which alone says what a key may do; None: this venue has none (demo answers 403).
    wallet: str | None = None

    def stream_url(self, category: str, attempt: int = 0) -> str:
        """Address of the combined stream of ``category``; attempts walk through the hosts."""
        return self.ws[attempt % len(self.ws)] + self.stream_paths[category]

    def user_url(self, listen_key: str, attempt: int = 0) -> str:
        """Address of the account's events; it holds the key, so it is not for logs."""
        return self.ws[attempt % len(self.ws)] + self.user_path.format(key=quote(listen_key, safe=""))


PROFILES: Mapping[str, Endpoints] = MappingProxyType(
    {
        "binance": Endpoints(
            rest=("https://fapi.binance.com",),
            ws=("wss://fstream.binance.com",),
            wallet="https://api.binance.com",
        ),
        "binance-demo": Endpoints(
            rest=("https://demo-fapi.binance.com", "https://testnet.binancefuture.com"),
            ws=("wss://demo-fstream.binance.com", "wss://fstream.binancefuture.com"),
            weight_limit_1m=6000,
        ),
    }
)


def endpoints_for(exchange: str, rest_url: str | None = None, ws_url: str | None = None) -> Endpoints:
    """Endpoints of a profile; ``rest_url`` and ``ws_url`` (comma-separated host lists) replace its hosts.

    ``emulator`` has no hosts of its own: both must be given. Raises ``InvalidInputError``.
    """
    if exchange == "emulator":
        if not rest_url or not ws_url:
            missing = "EXCHANGE_REST_URL" if not rest_url else "EXCHANGE_WS_URL"
            raise InvalidInputError(missing, None, "the address of the running emulator")
        rest = _hosts(rest_url, "http")
        return Endpoints(rest=rest, ws=_hosts(ws_url, "ws"), wallet=rest[0])
    if exchange not in PROFILES:
        raise InvalidInputError("EXCHANGE", exchange, f"one of emulator, {', '.join(PROFILES)}")
    profile = PROFILES[exchange]
    return replace(
        profile,
        rest=_hosts(rest_url, "http") if rest_url else profile.rest,
        ws=_hosts(ws_url, "ws") if ws_url else profile.ws,
    )


def _hosts(urls: str, scheme: str) -> tuple[str, ...]:
    hosts = tuple(url.strip().rstrip("/") for url in urls.split(",") if url.strip())
    for host in hosts:
        if not host.startswith((f"{scheme}://", f"{scheme}s://")):
            raise InvalidInputError("url", host, f"an address that starts with {scheme}:// or {scheme}s://")
    return hosts
