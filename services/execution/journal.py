"""The write-ahead log of execution (execution.md 14): the truth of open intents, latch, numbers used, proofs
seen and equity marks.

One file, one JSON record a line, each with the CRC-32 of the rest of its line. It is written by one process at a time;
watchdog and doctor read it without a lock (``read_state``). Every whole line was written by us, so a last line without
its end is a write that was cut short and never reported as done; anything else that does not read is damage.
"""

import asyncio
import fcntl
import os
import threading
import zlib
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import reduce
from pathlib import Path
from typing import IO, Literal, TypeVar, assert_never

import msgspec
import structlog

from packages.common.errors import InvalidInputError, PlatformError
from packages.common.time import wall_ms
from services.execution.core.events import Intent, Latch
from services.execution.equity import EquityMarks

log = structlog.get_logger(__name__)

DAMAGED = "JOURNAL_DAMAGED"
NOTE_MS = 50.0
REWRITE_BYTES = 1 << 20  # readers read all of it, so it stays small

Tier = Literal["A", "B", "trigger"]
T = TypeVar("T")


class JournalError(PlatformError):
    """The journal cannot be read or written, or another process has it: no entries (rule 14)."""

    code = "JOURNAL"


class JournalMissingError(JournalError):
    """There is no journal at that path: nothing was ever traded from there."""

    code = "JOURNAL_MISSING"


class JournalDamagedError(JournalError):
    """Whole lines of the journal do not read; an operator decides (``accept_damage``)."""

    code = DAMAGED


# --- records ---------------------------------------------------------------------------------------------------------


class _Record(msgspec.Struct, frozen=True, tag_field="type"):
    """All times are market time except ``Header``'s."""


class Header(_Record, frozen=True, tag="header"):
    """Always the first line, and nowhere else. ``created_ts_ms``: wall time of the first writing."""

    instance: str
    created_ts_ms: int


class IntentOpened(_Record, frozen=True, tag="intent_opened"):
    """A bracket before it is sent, with the ids of its entry and of its first stop and target."""

    symbol: str
    intent: Intent
    attempt: int
    ts_ms: int
    entry_client_id: str
    stop_client_id: str
    target_client_id: str


class ExitWanted(_Record, frozen=True, tag="exit_wanted"):
    """The position is to be closed; the first reason stays, it is why. It need not have a plan."""

    symbol: str
    reason: str
    ts_ms: int


class IntentClosed(_Record, frozen=True, tag="intent_closed"):
    """The symbol is free: its intent and its wanted exit are over."""

    symbol: str
    ts_ms: int


class NumbersReserved(_Record, frozen=True, tag="numbers_reserved"):
    """Attempts up to and including ``upto`` may have been used."""

    symbol: str
    upto: int


class LatchMoved(_Record, frozen=True, tag="latch_moved"):
    """The kill-switch's latch. ``by``: a trigger, or who commanded it."""

    latch: Latch
    code: str
    by: str
    reason: str
    ts_ms: int


class ProofSeen(_Record, frozen=True, tag="proof_seen"):
    """The stop path was seen to work (rule 21). The last one of a tier counts; ``ts_ms`` 0 voids it."""

    tier: Tier
    ts_ms: int


class EquitySeen(_Record, frozen=True, tag="equity_seen"):
    """The marks that losses are measured from; the last one counts."""

    marks: EquityMarks


class WalletSeen(_Record, frozen=True, tag="wallet_seen"):
    """The wallet at a moment in which nothing happened: from there bookings are compared (rule 17)."""

    ts_ms: int
    wallet: Decimal


Record = IntentOpened | ExitWanted | IntentClosed | NumbersReserved | LatchMoved | ProofSeen | EquitySeen | WalletSeen

OpenIntent = IntentOpened


# --- state -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JournalState:
    """What the records add up to, by symbol: plans not yet over, exits wanted (also without a plan), the highest number
    that may be used up; and the market time of the last proof of each tier. ``created_ts_ms`` is wall time."""

    instance: str
    created_ts_ms: int
    open: Mapping[str, OpenIntent] = field(default_factory=dict)
    exits: Mapping[str, ExitWanted] = field(default_factory=dict)
    reserved: Mapping[str, int] = field(default_factory=dict)
    moved: LatchMoved | None = None
    proofs: Mapping[Tier, int] = field(default_factory=dict)
    marks: EquityMarks | None = None
    wallet: WalletSeen | None = None

    @property
    def latch(self) -> Latch:
        return self.moved.latch if self.moved is not None else Latch.RUNNING

    @property
    def latch_code(self) -> str:
        """Why the latch is where it is; empty when it never moved."""
        return self.moved.code if self.moved is not None else ""


def fold(state: JournalState, record: Record) -> JournalState:
    """The state after one more record."""
    match record:
        case IntentOpened(symbol=symbol):
            return replace(state, open={**state.open, symbol: record})
        case ExitWanted(symbol=symbol):
            return replace(state, exits={symbol: record, **state.exits})
        case IntentClosed(symbol=symbol):
            return replace(state, open=_without(state.open, symbol), exits=_without(state.exits, symbol))
        case NumbersReserved(symbol=symbol, upto=upto):
            return replace(state, reserved={**state.reserved, symbol: max(upto, state.reserved.get(symbol, 0))})
        case LatchMoved():
            return replace(state, moved=record)
        case ProofSeen(tier=tier, ts_ms=ts_ms):
            return replace(state, proofs={**state.proofs, tier: ts_ms})
        case EquitySeen(marks=marks):
            return replace(state, marks=marks)
        case WalletSeen():
            return replace(state, wallet=record)
        case _:
            assert_never(record)


def records_of(state: JournalState) -> list[Record]:
    """The shortest list of records that folds to ``state``."""
    rows: list[Record] = [NumbersReserved(symbol, upto) for symbol, upto in state.reserved.items()]
    rows += [*state.open.values(), *state.exits.values()]
    if state.moved is not None:
        rows.append(state.moved)
    if state.marks is not None:
        rows.append(EquitySeen(state.marks))
    if state.wallet is not None:
        rows.append(state.wallet)
    return rows + [ProofSeen(tier, ts_ms) for tier, ts_ms in state.proofs.items()]


def read_state(path: Path, *, accept_damage: bool = False) -> JournalState:
    """The state on disk now, without a lock: for those who only look.

    With ``accept_damage`` what still reads counts, and the latch is at least HALTED. Raises ``JournalMissingError``,
    ``JournalDamagedError`` and ``JournalError``.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as exc:
        raise JournalMissingError(f"{path}: no journal there") from exc
    except OSError as exc:
        raise JournalError(f"{path}: {exc}") from exc
    lines = data.split(b"\n")[:-1]  # what follows the last end of line was never reported as written
    header = _decoded(lines[0], _HEADER) if lines else None
    rows = [_decoded(line, _RECORD) for line in lines[1:]]
    damaged = [n for n, row in enumerate([header, *rows], start=1) if row is None]
    if damaged and not accept_damage:
        raise JournalDamagedError(f"{path}: line {damaged[0]} does not read ({len(damaged)} of {len(lines)} lines)")
    start = JournalState(header.instance, header.created_ts_ms) if header is not None else JournalState("", wall_ms())
    state = reduce(fold, [row for row in rows if row is not None], start)
    if damaged and state.latch is not Latch.FLATTENING:
        halted = LatchMoved(Latch.HALTED, DAMAGED, "journal", f"line {damaged[0]} does not read", 0)
        state = fold(state, halted)
    return state


# --- the writer ------------------------------------------------------------------------------------------------------


class Journal:
    """The one writer. A thread of its own writes and syncs, so that no event loop waits for a disk; whoever asks while
    it is busy shares the next sync. The first failure ends it: what is on disk is then unknown until it is opened anew.
    """

    def __init__(self, path: Path, lock: IO[bytes], state: JournalState) -> None:
        """For ``open`` only, which has rewritten the file to ``state``."""
        self._path, self._lock, self._state = path, lock, state
        self._file = path.open("ab", buffering=0)
        self._queue: list[tuple[Record | None, bytes, Future[None] | None]] = []
        self._urgent = False
        self._closing = False
        self._fault: str | None = None
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, path: Path, instance: str, *, accept_damage: bool = False) -> tuple["Journal", JournalState]:
        """Take the journal, make it when there is none, and rewrite it to its present state. Blocks on the disk.

        Raises ``JournalError`` when another process has it or the disk refuses, ``JournalDamagedError`` when it does
        not read; ``accept_damage`` then keeps the damaged file beside it and goes on HALTED with what still reads.
        ``InvalidInputError`` when it is of another ``instance``.
        """
        lock = _locked(path)
        try:
            try:
                state = read_state(path)
            except JournalMissingError:
                state = JournalState(instance, wall_ms())
            except JournalDamagedError:
                if not accept_damage:
                    raise
                state = read_state(path, accept_damage=True)
                _keep(path)
                log.error("journal_damage_accepted", latch=state.latch, open=sorted(state.open))
            if state.instance not in ("", instance):
                raise InvalidInputError("instance", instance, f"{state.instance}, whose journal {path} is")
            state = replace(state, instance=instance)
            _rewrite(path, state)
            return cls(path, lock, state), state
        except OSError as exc:
            lock.close()
            raise JournalError(f"{path}: {exc}") from exc
        except PlatformError:
            lock.close()
            raise

    @property
    def healthy(self) -> bool:
        """False once a write has failed, or after ``close``."""
        return self._fault is None and not self._closing

    async def append(self, record: Record) -> None:
        """Return when ``record`` is on disk. Raises ``JournalError``; then it may be there or not."""
        await self._wait_for(record)

    async def synced(self) -> None:
        """Return when everything noted before is on disk. Raises ``JournalError``; then it may be there or not."""
        await self._wait_for(None)

    async def _wait_for(self, record: Record | None) -> None:
        done = Future[None]()
        self._put(record, done)
        await asyncio.wrap_future(done)

    def note(self, record: Record) -> None:
        """Write ``record`` with the next sync, at most 50 ms from now. A failure shows in ``healthy`` only."""
        self._put(record, None)

    def close(self) -> None:
        """Write what was noted and let the journal go. Blocks on the disk; safe to repeat."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()
        self._file.close()
        self._lock.close()

    def _put(self, record: Record | None, done: Future[None] | None) -> None:
        line = b"" if record is None else _line(record)
        with self._wake:
            if not self.healthy:
                if done is not None:
                    raise JournalError(f"{self._path}: {self._fault or 'closed'}")
                return
            self._queue.append((record, line, done))
            self._urgent = self._urgent or done is not None
            if done is not None or len(self._queue) == 1:
                self._wake.notify()

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            if not batch:
                return
            # a caller that was cancelled no longer waits; its record is written all the same
            waiting = [done for *_, done in batch if done is not None and done.set_running_or_notify_cancel()]
            try:
                self._write(b"".join(line for _, line, _ in batch))
                self._state = reduce(fold, [record for record, *_ in batch if record is not None], self._state)
                self._shorten()
            except Exception as exc:  # whatever it was, nobody may wait for ever
                log.error("journal_failed", error=repr(exc))
                with self._wake:
                    self._fault = str(exc)
                    late = [done for *_, done in self._queue if done is not None]
                    self._queue.clear()
                for done in [*waiting, *(done for done in late if done.set_running_or_notify_cancel())]:
                    done.set_exception(JournalError(f"{self._path}: {exc}"))
                return
            for done in waiting:
                done.set_result(None)

    def _next_batch(self) -> list[tuple[Record | None, bytes, Future[None] | None]]:
        """Everything queued, once somebody waits for it or the oldest note is old enough; empty when closed."""
        with self._wake:
            self._wake.wait_for(lambda: self._queue or self._closing)
            self._wake.wait_for(lambda: self._urgent or self._closing, NOTE_MS / 1e3)
            batch, self._queue, self._urgent = self._queue, [], False
            return batch

    def _write(self, lines: bytes) -> None:
        _write_all(self._file, lines)
        os.fsync(self._file.fileno())

    def _shorten(self) -> None:
        if self._file.tell() > REWRITE_BYTES:
            _rewrite(self._path, self._state)
            self._file.close()
            self._file = self._path.open("ab", buffering=0)


# --- the file --------------------------------------------------------------------------------------------------------

_RECORD = msgspec.json.Decoder(Record)
_HEADER = msgspec.json.Decoder(Header)
_ENCODER = msgspec.json.Encoder()
_CRC = b'{"crc":"%08x",'
_CRC_BYTES = len(_CRC % 0)


def _line(record: Record | Header) -> bytes:
    """``{"crc":"…", …}``: valid JSON, the checksum over everything behind it."""
    rest = _ENCODER.encode(record)[1:]
    return _CRC % zlib.crc32(rest) + rest + b"\n"


def _decoded(line: bytes, decoder: msgspec.json.Decoder[T]) -> T | None:
    """The record of one line without its end, None when it is not what was written."""
    rest = line[_CRC_BYTES:]
    if line[:_CRC_BYTES] != _CRC % zlib.crc32(rest):
        return None
    try:
        return decoder.decode(b"{" + rest)
    except (ValueError, InvalidInputError):  # all of msgspec's errors are ValueErrors
        return None


def _locked(path: Path) -> IO[bytes]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sync_folder(path.parent.parent)
        lock = path.with_name(path.name + ".lock").open("ab")
    except OSError as exc:
        raise JournalError(f"{path}: {exc}") from exc
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        lock.close()
        raise JournalError(f"{path} is in use by another process") from exc
    return lock


def _rewrite(path: Path, state: JournalState) -> None:
    """Replace the file by the records of ``state``: at every instant one of the two is there, whole."""
    rows = [Header(state.instance, state.created_ts_ms), *records_of(state)]
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb", buffering=0) as file:
        _write_all(file, b"".join(map(_line, rows)))
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync_folder(path.parent)


def _keep(path: Path) -> None:
    """Copy a damaged file beside it: it is evidence."""
    with path.with_name(f"{path.name}.damaged-{wall_ms()}").open("xb", buffering=0) as file:
        _write_all(file, path.read_bytes())
        os.fsync(file.fileno())


def _write_all(file: IO[bytes], data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _without(rows: Mapping[str, T], symbol: str) -> dict[str, T]:
    return {name: row for name, row in rows.items() if name != symbol}
