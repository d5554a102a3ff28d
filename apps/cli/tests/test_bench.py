"""What ``perpilot bench`` prints; how fast things are is not a question for a test."""

import json

import pytest

from apps.cli import main
from apps.cli.bench import run as areas
from apps.cli.bench.measure import Plan, at_least, at_most, interleave
from packages.common.errors import InvalidInputError

KEYS = {"area", "work", "figure", "unit", "reference", "ratio", "goal", "pass", "load"}


def test_quick_labels_print_rows_with_every_key(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["perpilot", "bench", "labels", "--quick", "--json"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert not ended.value.code
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 3
    for row in rows:
        assert row.keys() == KEYS
        assert row["area"] == "labels"
        assert row["figure"] > 0
        assert isinstance(row["pass"], bool)
        assert row["goal"].startswith("<=")
    assert [row["ratio"] is None for row in rows] == [False, False, True]
    assert all("plain compiled" in row["reference"] for row in rows[:2])


def test_an_unknown_area_is_refused():
    with pytest.raises(InvalidInputError, match="area"):
        next(areas.run("speed", Plan(quick=True)))


def test_a_goal_is_judged_by_the_ratio_where_there_is_one():
    assert at_most("a", "w", 9.0, "ms", limit=2.0, ratio=1.5, reference="r").passed
    assert not at_most("a", "w", 9.0, "ms", limit=2.0).passed
    assert at_most("a", "w", 9.0, "ms", limit=None).row()["goal"] is None
    assert at_least("a", "w", 9.0, "k/s", limit=8.0).row()["goal"] == ">= 8 k/s"
    assert not at_least("a", "w", 9.0, "k/s", limit=0.7, ratio=0.6, reference="r").passed


def test_rounds_take_turns_after_one_to_warm_up():
    seen = []
    took = interleave(3, {"a": lambda: seen.append("a"), "b": lambda: seen.append("b")})
    assert "".join(seen) == "abababab"
    assert set(took) == {"a", "b"}


def test_every_area_can_be_imported():
    for name in areas.AREAS:
        assert callable(areas.importlib.import_module(f"apps.cli.bench.{name}").measure)
