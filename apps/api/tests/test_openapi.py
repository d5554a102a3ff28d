"""The document that the web client is made from."""

import json
import re

import pytest

from apps.api.export_openapi import document, main


def test_the_document_is_the_same_every_time(tmp_path, monkeypatch):
    target = tmp_path / "deep" / "openapi.json"
    assert main([str(target)]) == 0
    monkeypatch.setenv("API_PORT", "1234")
    monkeypatch.setenv("MODE", "off")
    assert target.read_text() == document()
    assert main([]) == 2


@pytest.fixture(scope="module")
def found():
    return json.loads(document())


def test_operations_have_ids_texts_and_problems(found):
    ids = []
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            ids.append(operation["operationId"])
            assert re.fullmatch(r"[a-z]+([A-Z]\w*)?", operation["operationId"]), (path, method)
            assert operation["description"], path
            assert "application/problem+json" in operation["responses"]["422"]["content"]
            for parameter in operation.get("parameters", []):
                assert parameter["name"] != "from_"
    assert len(ids) == len(set(ids))


def test_endpoints_of_the_specification_are_there(found):
    paths = set(found["paths"])
    assert {
        "/api/status", "/api/universe", "/api/account/latest", "/api/positions/latest", "/api/orders",
        "/api/signals/latest", "/api/symbol/{symbol}/series", "/api/training/jobs", "/api/models",
        "/api/models/{model_id}", "/api/data-quality/summary", "/api/risk/state", "/api/trading/toggle",
    } <= paths  # fmt: skip
