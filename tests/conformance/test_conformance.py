"""Independent clients against the emulated exchange, as ``perpilot emulator conformance`` runs them."""

import os
from pathlib import Path

import pytest

from apps.cli.conformance import CLIENTS, FAIL, PASS, Result, Row, _read, environment, run_client, table
from packages.common.config import load_settings
from packages.common.errors import InvalidInputError

FULL = bool(os.environ.get("CONFORMANCE"))


@pytest.mark.integration
def test_a_client_of_the_standard_library_is_served_as_the_documents_say(tmp_path):
    result = run_client("raw", tmp_path, quick=True)
    assert [row for row in result.rows if row.status == FAIL] == [], result.errors
    assert sum(row.status == PASS for row in result.rows) >= 19


@pytest.mark.skipif(not FULL, reason="installs released clients from a package index: `make conformance`")
@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.timeout(1_500)
def test_a_released_client_is_served(name):
    result = run_client(name, load_settings().var_dir / "conformance")
    assert [row for row in result.rows if row.status == FAIL] == [], result.errors


@pytest.mark.parametrize("name", [name for name in CLIENTS if name != "raw"])
def test_requirements_are_pinned_and_hashed_and_name_no_place(name):
    text = (Path(__file__).parent / f"requirements-{name}.txt").read_text()
    assert "://" not in text
    for part in text.replace("\\\n", " ").splitlines():
        assert "==" in part, part
        assert "--hash=sha256:" in part, part


def test_an_unknown_client_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match=r"--client.*nobody.*ccxt"):
        run_client("nobody", tmp_path)


def test_the_raw_client_needs_no_environment(tmp_path):
    environment("raw", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_step_that_the_driver_never_reached_has_failed():
    written = '\n'.join([
        '{"package": "x", "version": "1", "steps": ["a", "b"]}', "a line of the client's own", "12",
        '{"step": "a", "status": "pass", "detail": ""}',
    ])  # fmt: skip
    result = _read("x", written, "Traceback\nOSError: gone\n")
    assert not result.ok
    assert result.rows == (Row("a", PASS, ""), Row("b", FAIL, "the driver ended before it: OSError: gone"))
    assert not _read("x", "", "ModuleNotFoundError: nothing there").ok


def test_the_table_names_what_is_not_a_pass():
    first = Result("x", "x", "1", (Row("a", PASS, ""), Row("b", FAIL, "why")))
    second = Result("y", "y", "2", (Row("b", "not supported", "no face"),))
    assert table([first, second]).splitlines() == [
        "| step | x 1 | y 2 |", "|---|---|---|", "| a | pass |  |", "| b | **FAIL** | not supported |", "",
        "- x, b: fail: why", "- y, b: not supported: no face",
    ]  # fmt: skip
