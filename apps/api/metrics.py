"""What Prometheus reads of this process."""

from functools import partial
from http import HTTPStatus

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from packages.common.time import monotonic_ms

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """Counters of one application; a registry of its own, so that two applications in a process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, namespace="perpilot", registry=self.registry)
        gauge = partial(Gauge, namespace="perpilot", registry=self.registry)
        self.requests = counter("api_requests", "Answers", ["method", "route", "status"])
        self.seconds = Histogram(
            "api_request_seconds",
            "Time to the end of an answer",
            ["route"],
            namespace="perpilot",
            registry=self.registry,
            buckets=_BUCKETS,
        )
        self.sockets = gauge("gateway_clients", "Open sockets")
        self.sent = counter("gateway_frames", "Frames sent", ["channel", "type"])
        self.conflated = counter("gateway_conflated", "Messages replaced before they were sent", ["channel"])
        self.bus_messages = counter("gateway_bus_messages", "Messages read from the bus", ["channel"])
        self.bus_bad = counter("gateway_bus_bad", "Messages of the bus that were no JSON", ["channel"])
        self.bus_up = gauge("gateway_bus_up", "1 while the bus can be read")

    def exposition(self) -> bytes:
        """Text of `/metrics`."""
        return generate_latest(self.registry)


class Measure:
    """ASGI middleware: counts and times answers by route template, so that symbols do not multiply the series."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = monotonic_ms(), HTTPStatus.INTERNAL_SERVER_ERROR.value

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", "page")
            self.metrics.requests.labels(_method(scope["method"]), route, str(status)).inc()
            self.metrics.seconds.labels(route).observe((monotonic_ms() - started) / 1e3)


def _method(method: str) -> str:
    return method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"
