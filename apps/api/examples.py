"""Examples in the OpenAPI document: requests as they were made to a seeded desk, and what it answered.

``API_RECORD_EXAMPLES=1 pytest apps/api/tests/test_examples.py`` writes ``examples.json``; without it the same test asks
for all of them again, and holds the file to the document.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from apps.api.codes import CODES

FILE = Path(__file__).with_name("examples.json")
_JSON = "application/json"
_PROBLEM = "application/problem+json"
PROBLEM = {
    "type": "urn:perpilot:problem:invalid-input",
    "title": "Unprocessable Entity",
    "status": 422,
    "detail": "limit: got '0', expected greater than or equal to 1",
    "code": "INVALID_INPUT",
    "instance": "/api/orders",
    "errors": [{"field": "limit", "value": "0", "expected": "greater than or equal to 1"}],
    "conditions": [],
}


def install(app: FastAPI) -> None:
    """Have ``app`` put the examples, and the codes that answers carry, into its document."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _add(plain())
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _add(document: dict[str, Any]) -> None:
    document["info"]["x-codes"] = {where: list(codes) for where, codes in CODES.items()}
    known = recorded()
    for methods in document["paths"].values():
        for operation in methods.values():
            example = known.get(operation["operationId"], {})
            asked = operation.get("requestBody", {}).get("content", {}).get(_JSON)
            if asked is not None and "examples" not in asked and "request" in example:
                asked["example"] = example["request"]
            for status, answer in operation["responses"].items():
                content = answer.get("content", {})
                if status.startswith("2") and _JSON in content and "response" in example:
                    content[_JSON]["example"] = example["response"]
                if status == "422" and _PROBLEM in content:
                    content[_PROBLEM]["example"] = PROBLEM


@lru_cache(maxsize=1)
def recorded() -> dict[str, dict[str, Any]]:
    """Example by operation id: ``request`` (where it has a body) and ``response``; none before the first recording."""
    found: dict[str, dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    return found
