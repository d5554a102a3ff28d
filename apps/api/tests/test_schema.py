"""The document as a contract: generated requests, valid and not, find no 5xx and no answer that is not described.

Every run makes the same requests. ``API_FUZZ_EXAMPLES=20`` asks for more of them per operation, which takes minutes.
Schemathesis is loaded by the test itself: seconds that no other test needs.
"""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from apps.api.auth import Role
from apps.api.export_openapi import document
from apps.api.tests.conftest import fresh_database
from apps.api.tests.running import Running, running, settings_for, signed_in

EXAMPLES = int(os.environ.get("API_FUZZ_EXAMPLES", "2"))
pytestmark = [pytest.mark.integration, pytest.mark.timeout(3600 if EXAMPLES > 2 else 300)]


@dataclass(frozen=True)
class Served:
    """A server in a loop and a thread of its own."""

    running: Running
    loop: asyncio.AbstractEventLoop

    def headers(self) -> dict[str, str]:
        """Of a new session of an admin: some operations end the one they are called in."""
        made = signed_in(self.running.resources, Role.ADMIN)
        return asyncio.run_coroutine_threadsafe(made, self.loop).result(60)


@pytest.fixture
def served(postgres_server, redis_server) -> Iterator[Served]:
    configured = settings_for(fresh_database(postgres_server, seeded=True), redis_server.url)
    ready, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()
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
    ready.wait(120)
    assert found, "the server did not start"
    yield Served(found[0], loop)
    loop.call_soon_threadsafe(stop.set)
    thread.join(60)


def test_every_answer_is_described(served):
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from schemathesis.specs.openapi import checks

    held = [
        schemathesis.checks.not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
        checks.response_headers_conformance, checks.response_schema_conformance,
    ]  # fmt: skip
    bounded = settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip

    def ask(operation, mode, headers):
        @seed(7)
        @bounded
        @given(case=operation.as_strategy(mode))
        def once(case):
            answer = case.call(base_url=served.running.base, headers=headers, timeout=30)
            case.validate_response(answer, checks=held)

        once()

    faults, asked = {}, 0
    schema = schemathesis.openapi.from_dict(json.loads(document()))
    for operation in (found.ok() for found in schema.get_all_operations()):
        headers, bare = served.headers(), not (operation.body or operation.query or operation.path_parameters)
        for mode in schemathesis.GenerationMode:
            if bare and mode is schemathesis.GenerationMode.NEGATIVE:
                continue  # there is nothing to get wrong
            try:
                ask(operation, mode, headers)
            except BaseException as exc:  # all of them are told, not only the first
                if isinstance(exc, KeyboardInterrupt):
                    raise
                faults[operation.label, mode.value] = f"{exc}"
        asked += 1
    assert asked > 80
    assert not faults, "\n\n".join(f"{where}: {what}" for where, what in faults.items())
