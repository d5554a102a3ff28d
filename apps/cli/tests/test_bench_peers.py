"""A peer is a process that answers in turn; here one of the standard library and numpy: tests install none."""

import json
import sys

import numpy as np
import pytest

from apps.cli.bench import peers
from apps.cli.environments import InstallError


@pytest.fixture
def drivers(tmp_path, monkeypatch):
    (tmp_path / "drivers").mkdir()
    (tmp_path / "drivers" / "rounds.py").write_bytes((peers.SUITE / "drivers" / "rounds.py").read_bytes())
    monkeypatch.setattr(peers, "SUITE", tmp_path)
    monkeypatch.setattr(peers, "environment", lambda *_: sys.executable)
    return tmp_path / "drivers"


def test_a_driver_reads_the_material_warms_up_and_does_a_round_when_told(drivers):
    (drivers / "sum.py").write_text(
        "from rounds import arrays, serve\n"
        "data, seen = arrays(), []\n"
        "def work():\n"
        "    seen.append(1)\n"
        "    return [float(data['x'].sum()), int(data['k'])]\n"
        "serve('numpy', work)\n"
    )
    with peers.peer("sum", x=np.arange(5.0), k=3) as other:
        assert other.name == f"numpy {np.__version__}"
        assert other.answer == [10.0, 3]
        turns = []
        ours, theirs = peers.in_turn(3, lambda: turns.append(1), other)
        assert len(turns) == 4
        assert ours >= 0.0
        assert theirs >= 0.0
    assert other.process.returncode is not None


def test_what_a_driver_dies_of_is_told(drivers):
    (drivers / "broken.py").write_text("raise SystemExit('no such indicator')\n")
    with pytest.raises(InstallError, match="no such indicator"), peers.peer("broken", x=1.0):
        pass


def test_every_driver_that_the_bench_names_is_there():
    text = "".join(
        (peers.SUITE.parents[1] / "apps" / "cli" / "bench" / f"{area}.py").read_text()
        for area in ("labels", "features", "backtest")
    )
    drivers = {path.stem for path in (peers.SUITE / "drivers").glob("*_*.py")}
    assert len(drivers) == 7
    assert all(json.dumps(name) in text for name in drivers)
