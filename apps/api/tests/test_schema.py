"""The document as a contract: generated requests, valid and not, find no 5xx and no answer that is not described.

Every run makes the same requests. ``API_FUZZ_EXAMPLES=200`` asks for more of them per operation, which takes minutes.
"""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from apps.api.auth import Role
from apps.api.export_openapi import document
from apps.api.tests.conftest import fresh_database
from apps.api.tests.running import Running, running, settings_for, signed_in

EXAMPLES = int(os.environ.get("API_FUZZ_EXAMPLES", "2"))
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
pytestmark = [pytest.mark.integration, pytest.mark.timeout(600 if EXAMPLES > 2 else 60)]
SCHEMA = schemathesis.openapi.from_dict(json.loads(document()))
OPERATIONS = {found.ok().definition.raw["operationId"]: found.ok() for found in SCHEMA.get_all_operations()}


@dataclass(frozen=True)
class Served:
    """A server in a loop and a thread of its own."""

    running: Running
    loop: asyncio.AbstractEventLoop

    def headers(self) -> dict[str, str]:
        """Of a new session of an admin: some operations end the one they are called in."""
        made = signed_in(self.running.resources, Role.ADMIN)
        return asyncio.run_coroutine_threadsafe(made, self.loop).result(10)


@pytest.fixture(scope="module")
def served(postgres_server, redis_server) -> Iterator[Served]:
    configured = settings_for(fresh_database(postgres_server, seeded=True), redis_server.url)
    ready, loop = threading.Event(), asyncio.new_event_loop()
    stop: asyncio.Event = asyncio.Event()
    found: list[Running] = []

    async def serve() -> None:
        try:
            async with running(configured) as server:
                found.append(server)
                ready.set()
                await stop.wait()
        finally:
            ready.set()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait(30)
    assert found, "the server did not start"
    yield Served(found[0], loop)
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_answer_is_described(served, name):
    operation = OPERATIONS[name]
    headers = served.headers()
    asks = operation.body or operation.query or operation.path_parameters
    for mode in schemathesis.GenerationMode if asks else [schemathesis.GenerationMode.POSITIVE]:
        bounded = settings(
            max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip

        @seed(7)
        @bounded
        @given(case=operation.as_strategy(mode))
        def ask(case):
            answer = case.call(base_url=served.running.base, headers=headers, timeout=20)
            case.validate_response(answer, checks=CHECKS)

        ask()
