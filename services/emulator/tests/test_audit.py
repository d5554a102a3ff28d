"""The judge: what it must find in an account's life, over the wire and across a kill."""

import asyncio
from decimal import Decimal

import pytest
from aiohttp import ClientSession

from services.emulator.audit import Audit
from services.emulator.config import EmulatorConfig
from services.emulator.testing import ControlError, served
from services.emulator.tests.conftest import UNIVERSE, Client, exchange
from services.emulator.tests.trader import Trader


class Wall:
    now = 0.0

    def __call__(self):
        return self.now


def fill(wall, audit, number, side, qty, at, client_id="a-e1", order=1):
    wall.now = at
    row = {"x": "TRADE", "s": "BTCUSDT", "S": side, "l": str(qty), "i": order, "c": client_id, "t": number}
    audit.hear("main", {"e": "ORDER_TRADE_UPDATE", "E": round(at) * 60, "o": row})


def stop(wall, audit, status, at, number=1, side="SELL", qty=0):
    wall.now = at
    row = {"o": "STOP_MARKET", "s": "BTCUSDT", "S": side, "q": str(qty), "X": status, "aid": number,
           "cp": not qty, "R": bool(qty)}  # fmt: skip
    audit.hear("main", {"e": "ALGO_UPDATE", "E": round(at) * 60, "o": row})


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def audit(wall):
    return Audit(wall)


def spans(audit):
    return [(n.cause, n.from_wall_ms, n.to_wall_ms, n.end, n.amt) for n in audit.cases["main"].naked]


def test_a_position_is_naked_from_its_first_fill_to_the_stop_and_from_its_end_to_the_next(wall, audit):
    fill(wall, audit, 1, "BUY", 1, 100.0)
    fill(wall, audit, 2, "BUY", 2, 110.0)
    stop(wall, audit, "NEW", 150.0)
    stop(wall, audit, "CANCELED", 200.0)
    stop(wall, audit, "NEW", 230.0, number=2)
    stop(wall, audit, "TRIGGERING", 300.0, number=2)
    stop(wall, audit, "TRIGGERED", 300.0, number=2)
    fill(wall, audit, 3, "SELL", 1, 301.0, "x", 2)
    stop(wall, audit, "FINISHED", 301.0, number=2)  # its child found too little on the other side
    fill(wall, audit, 4, "SELL", 2, 400.0, "y-x2", 3)
    assert spans(audit) == [
        ("entry", 100.0, 150.0, "stop", 3), ("CANCELED", 200.0, 230.0, "stop", 3), ("FINISHED", 301.0, 400.0, "flat", 2)
    ]  # fmt: skip
    (episode,) = audit.cases["main"].episodes
    assert (episode.most, episode.entries, episode.exit, episode.to_ms) == (3, ["a-e1"], "y-x2", 24_000)


def test_a_stop_of_the_other_side_or_for_less_than_the_position_covers_nothing(wall, audit):
    stop(wall, audit, "NEW", 50.0, side="BUY")
    fill(wall, audit, 1, "BUY", 2, 100.0)
    stop(wall, audit, "NEW", 110.0, number=2, qty=1)
    stop(wall, audit, "NEW", 120.0, number=3, qty=1)
    assert spans(audit) == [("entry", 100.0, 120.0, "stop", 2)]
    fill(wall, audit, 2, "BUY", 1, 130.0)
    assert spans(audit)[-1] == ("more", 130.0, 0.0, "", 3)


def test_a_turned_position_needs_another_stop(wall, audit):
    fill(wall, audit, 1, "BUY", 1, 100.0)
    stop(wall, audit, "NEW", 100.0)
    fill(wall, audit, 2, "SELL", 3, 200.0, "b-e1", 2)
    assert spans(audit)[-1] == ("turned", 200.0, 0.0, "", -2)
    case = audit.cases["main"]
    assert [(e.side, e.to_ms > 0) for e in case.episodes] == [("BUY", True), ("SELL", False)]
    assert (case.entries[2].opened, case.entries[2].held) == (2, 0)


def test_the_same_fold_goes_on_from_a_saved_state(wall, audit):
    fill(wall, audit, 1, "BUY", 1, 100.0)
    again = Audit(wall)
    again.restore(audit.state())
    for one in (audit, again):
        stop(wall, one, "NEW", 150.0)
        fill(wall, one, 2, "SELL", 1, 250.0, "c", 2)
    assert again.cases == audit.cases


async def test_the_report_finds_naked_time_duplicates_orphans_and_balances_the_books(source):
    async with served(EmulatorConfig(speed=float("inf"), history_days=3, universe=UNIVERSE), source=source) as found:
        async with ClientSession() as session:
            trader = Trader(Client(found.emulator, session))
            await trader.order("BUY", "0.01", newClientOrderId="pp-t-d1-e1")
            await asyncio.sleep(0.05)
            await trader.stop("10000", clientAlgoId="pp-t-d1-s1")
            await trader.order("BUY", "0.01", newClientOrderId="pp-t-d1-e2")
            await trader.order("SELL", "0.02", reduceOnly=True, newClientOrderId="pp-t-d1-x1")
            await trader.order("BUY", "0.01", symbol="ETHUSDT", newClientOrderId="pp-t-d2-e1")
            await trader.order("SELL", "0.01", symbol="ETHUSDT", reduceOnly=True)
            await trader.stop("1000", symbol="ETHUSDT", closePosition=False, quantity="0.1", reduceOnly=True)
            assert (await trader.stop("1"))["code"] == -4509
        report = await found.control.audit()
        main = report["accounts"]["main"]
        summary = main["summary"]
        assert summary["differences"] == []
        assert (summary["duplicates"], summary["stacked"], summary["orphans"]) == (1, 1, 1)
        assert [row["client_id"] for row in main["duplicates"]] == ["pp-t-d1-e2"]
        assert (summary["naked"], summary["naked_now"], summary["open"]) == (2, [], [])
        assert summary["naked_wall_ms"]["max"] >= 50
        assert summary["entries"] == 3
        assert {row["wall_ms"] is None for row in main["trades"] + main["orders"] + main["algos"]} == {False}
        assert Decimal(summary["wallet"]) == sum(Decimal(row["amount"]) for row in main["incomes"])
        assert report["answers"]["POST /fapi/v1/algoOrder"] == {"200": 2, "-4509": 1}
        only = (await found.control.audit(rows=False))["accounts"]["main"]
        assert only == {"summary": summary}
        state = await found.control.save()
        await found.control.restore(state)
        assert (await found.control.audit(rows=False))["accounts"]["main"] == only
        with pytest.raises(ControlError):
            await found.control.switch(nonsense=1)


async def test_the_audit_survives_a_kill(source, tmp_path):
    async with exchange(source, state_dir=tmp_path) as client:
        await Trader(client).order("BUY", "0.01", newClientOrderId="a")
        kept = {path.name: path.read_bytes() for path in (tmp_path / "venue").iterdir()}
    for path in (tmp_path / "venue").iterdir():
        path.unlink()
    for name, content in kept.items():
        (tmp_path / "venue" / name).write_bytes(content)
    async with exchange(source, state_dir=tmp_path) as client:
        report = client.emulator.trading.audited()["accounts"]["main"]
    assert report["summary"]["naked_now"] == ["BTCUSDT"]
    assert report["summary"]["differences"] == []
