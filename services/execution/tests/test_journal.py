"""The journal on a real disk: cuts at every byte, killed writers, damage, a full disk (execution.md 14)."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
from decimal import Decimal
from functools import reduce

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packages.common.errors import InvalidInputError
from services.execution import journal as jr
from services.execution.core.events import Intent, Latch
from services.execution.equity import EquityMarks

INTENT = Intent("d1", 1, Decimal("0.0150"), Decimal("90.10"), Decimal("110"), 5_000)
OPENED = jr.IntentOpened("BTCUSDT", INTENT, 7, 1_000, "pp-a-e7", "pp-a-s7", "pp-a-t7")

symbols = st.sampled_from(["BTCUSDT", "ETHUSDT", "1000PEPEUSDT"])
texts = st.text(max_size=12)
times = st.integers(0, 2**45)
amounts = st.decimals("0.00000001", "1e12", allow_nan=False, allow_infinity=False)


@st.composite
def intents(draw):
    low, high = sorted(draw(st.lists(amounts, min_size=2, max_size=2, unique=True)))
    direction = draw(st.sampled_from([1, -1]))
    stop, target = (low, high) if direction > 0 else (high, low)
    return Intent(draw(st.text(min_size=1, max_size=12)), direction, draw(amounts), stop, target, draw(times))


records = st.one_of(
    st.builds(jr.IntentOpened, symbols, intents(), st.integers(1, 9999), times, texts, texts, texts),
    st.builds(jr.ExitWanted, symbols, texts, times),
    st.builds(jr.IntentClosed, symbols, times),
    st.builds(jr.NumbersReserved, symbols, st.integers(1, 9999)),
    st.builds(jr.LatchMoved, st.sampled_from(Latch), texts, texts, texts, times),
    st.builds(jr.ProofSeen, st.sampled_from(["A", "B", "trigger"]), times),
    st.builds(jr.EquitySeen, st.builds(EquityMarks, amounts, amounts, amounts, amounts, times)),
    st.builds(jr.WalletSeen, times, amounts),
)
on_disk = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


NUMBERS = itertools.count()


def path_in(folder):
    return folder / f"{next(NUMBERS)}" / "journal.ndjson"


def opened(path, instance="a", **how):
    return jr.Journal.open(path, instance, **how)


def write(path, rows):
    """Open, note all, close: what a session leaves behind. Returns the state it had at the end."""
    journal, state = opened(path)
    for row in rows:
        journal.note(row)
    journal.close()
    return reduce(jr.fold, rows, state)


@given(st.lists(records, max_size=30))
@on_disk
def test_the_state_after_reopening_is_the_one_before(tmp_path, rows):
    path = path_in(tmp_path)
    before = write(path, rows)
    assert jr.read_state(path) == before
    journal, state = opened(path)
    journal.close()
    assert state == before
    assert jr.read_state(path) == before
    assert reduce(jr.fold, jr.records_of(before), jr.JournalState("a", before.created_ts_ms)) == before


@given(st.lists(records, max_size=8), st.data())
@on_disk
def test_a_cut_at_any_byte_loses_at_most_the_line_it_falls_into(tmp_path, rows, data):
    path = path_in(tmp_path)
    write(path, rows)
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    left = whole[:cut].count(b"\n")
    if left == 0:  # the header is gone: our own writes never do that
        with pytest.raises(jr.JournalDamagedError):
            opened(path)
        return
    journal, state = opened(path)
    journal.close()
    assert state == reduce(jr.fold, rows[: left - 1], jr.JournalState("a", state.created_ts_ms))
    assert path.read_bytes().endswith(b"\n")


@given(st.lists(records, min_size=1, max_size=8), st.data())
@on_disk
def test_a_changed_byte_is_damage_and_never_read_as_something_else(tmp_path, rows, data):
    path = path_in(tmp_path)
    write(path, rows)
    whole = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(whole) - 2))  # without its end the last line is torn, not damaged
    whole[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(whole)
    with pytest.raises(jr.JournalDamagedError):
        jr.read_state(path)
    with pytest.raises(jr.JournalDamagedError):
        opened(path)
    assert path.read_bytes() == whole


def test_every_line_is_json_and_amounts_keep_their_digits(tmp_path):
    path = path_in(tmp_path)
    write(path, [OPENED])
    header, line = (json.loads(line) for line in path.read_text().splitlines())
    assert (header["type"], header["instance"]) == ("header", "a")
    assert line["intent"]["qty"] == "0.0150"
    assert jr.read_state(path).open["BTCUSDT"].intent == INTENT


def test_the_first_wish_to_exit_stays_and_needs_no_plan():
    rows = [jr.ExitWanted("BTCUSDT", "time", 1), jr.ExitWanted("BTCUSDT", "operator", 2)]
    state = reduce(jr.fold, rows, jr.JournalState("a", 0))
    assert state.exits["BTCUSDT"].reason == "time"
    assert jr.fold(state, jr.IntentClosed("BTCUSDT", 3)).exits == {}


def test_accepted_damage_halts_keeps_the_file_and_what_still_reads(tmp_path):
    path = path_in(tmp_path)
    write(path, [OPENED, jr.NumbersReserved("BTCUSDT", 100), jr.ProofSeen("A", 5)])
    damaged = path.read_bytes().replace(b'"upto":100', b'"upto":900')
    path.write_bytes(damaged)
    journal, state = opened(path, accept_damage=True)
    journal.close()
    assert (state.latch, state.latch_code) == (Latch.HALTED, "JOURNAL_DAMAGED")
    assert (state.open, state.reserved, state.proofs) == ({"BTCUSDT": OPENED}, {}, {"A": 5})
    [kept] = path.parent.glob("journal.ndjson.damaged-*")
    assert kept.read_bytes() == damaged
    assert jr.read_state(path) == state


def test_accepted_damage_never_loosens_a_flattening(tmp_path):
    path = path_in(tmp_path)
    write(path, [jr.LatchMoved(Latch.FLATTENING, "NAKED", "core", "", 1), OPENED])
    path.write_bytes(path.read_bytes().replace(b"0.0150", b"0.0151"))
    assert jr.read_state(path, accept_damage=True).latch is Latch.FLATTENING


def test_only_one_process_writes_and_readers_need_no_lock(tmp_path):
    path = path_in(tmp_path)
    journal, state = opened(path)
    with pytest.raises(jr.JournalError, match="another process"):
        opened(path)
    assert jr.read_state(path) == state
    journal.close()
    opened(path)[0].close()


def test_the_journal_of_another_instance_is_refused(tmp_path):
    path = path_in(tmp_path)
    opened(path)[0].close()
    with pytest.raises(InvalidInputError, match="instance"):
        opened(path, "b")
    opened(path)[0].close()


def test_no_journal_is_said_so(tmp_path):
    with pytest.raises(jr.JournalMissingError):
        jr.read_state(tmp_path / "none")


async def test_append_returns_with_the_record_on_disk_and_callers_share_a_sync(tmp_path, monkeypatch):
    path = path_in(tmp_path)
    journal, _ = opened(path)
    syncs, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (syncs.append(handle), fsync(handle)))
    await asyncio.gather(*(journal.append(jr.NumbersReserved(f"S{n}", n)) for n in range(50)))
    assert jr.read_state(path).reserved == {f"S{n}": n for n in range(50)}
    assert 1 <= len(syncs) < 25
    journal.close()


async def test_a_note_is_written_soon_without_being_waited_for(tmp_path):
    path = path_in(tmp_path)
    journal, _ = opened(path)
    journal.note(jr.ExitWanted("BTCUSDT", "time", 1))
    async with asyncio.timeout(60):
        while not jr.read_state(path).exits:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    journal.note(jr.IntentClosed("BTCUSDT", 2))
    await journal.append(jr.ProofSeen("B", 9))
    assert jr.read_state(path).exits == {}  # the note went first, with the same sync
    journal.close()


async def test_synced_returns_with_everything_noted_before_on_disk(tmp_path):
    path = path_in(tmp_path)
    journal, _ = opened(path)
    await journal.synced()  # nothing was noted
    journal.note(jr.ExitWanted("BTCUSDT", "time", 1))
    await journal.synced()
    assert jr.read_state(path).exits["BTCUSDT"].reason == "time"
    journal.close()
    with pytest.raises(jr.JournalError):
        await journal.synced()


async def test_a_caller_who_stops_waiting_disturbs_nobody(tmp_path):
    path = path_in(tmp_path)
    journal, _ = opened(path)
    tasks = [asyncio.create_task(journal.append(jr.NumbersReserved(f"S{n}", n))) for n in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await journal.append(jr.ProofSeen("A", 1))
    assert journal.healthy
    assert len(jr.read_state(path).reserved) == 4
    journal.close()
    assert not journal.healthy
    with pytest.raises(jr.JournalError, match="closed"):
        await journal.append(OPENED)


async def test_a_long_file_is_rewritten_while_it_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr(jr, "REWRITE_BYTES", 2_000)
    path = path_in(tmp_path)
    journal, _ = opened(path)
    for n in range(200):
        await journal.append(jr.NumbersReserved("BTCUSDT", n))
        assert path.stat().st_size < 2_200
    await journal.append(OPENED)
    journal.close()
    state = jr.read_state(path)
    assert (state.reserved, state.open) == ({"BTCUSDT": 199}, {"BTCUSDT": OPENED})


FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from services.execution import journal as jr

async def main():
    journal, _ = jr.Journal.open(Path(sys.argv[1]), "a")
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    done = 0
    try:
        for n in range(1, 100):
            await journal.append(jr.NumbersReserved("BTCUSDT", n))
            done = n
    except jr.JournalError:
        assert not journal.healthy
    try:
        await journal.append(jr.ProofSeen("A", 1))
    except jr.JournalError:
        print(done)
    journal.close()

asyncio.run(main())
"""


def test_a_full_disk_breaks_the_journal_until_it_is_opened_anew(tmp_path):
    path = path_in(tmp_path)
    run = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], check=True, capture_output=True, timeout=60)
    done = int(run.stdout.splitlines()[-1])
    assert 5 < done < 50
    assert not path.read_bytes().endswith(b"\n")  # torn in the middle of a line
    journal, state = opened(path)
    assert state.reserved == {"BTCUSDT": done}
    assert state.proofs == {}
    assert journal.healthy
    journal.close()


ENDLESS = """
import asyncio, itertools, sys
from pathlib import Path
from services.execution import journal as jr

async def main():
    jr.REWRITE_BYTES = 5_000
    journal, _ = jr.Journal.open(Path(sys.argv[1]), "a")
    for n in itertools.count(1):
        await journal.append(jr.NumbersReserved("BTCUSDT", n))
        print(n, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 37, 150])
def test_a_killed_writer_loses_nothing_that_append_returned_for(tmp_path, lines):
    path = path_in(tmp_path)
    child = subprocess.Popen([sys.executable, "-c", ENDLESS, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(lines):
            child.stdout.readline()
    finally:
        child.send_signal(signal.SIGKILL)
    told = lines + child.stdout.read().count("\n")  # with what was read ahead of the lines
    child.wait(30)
    journal, state = opened(path)  # the lock died with its holder
    journal.close()
    assert told <= state.reserved["BTCUSDT"] <= told + 1
