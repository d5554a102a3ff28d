"""The venue on disk: a snapshot, and a journal of what was asked since; a kill loses nothing that was acknowledged.

The venue is deterministic, so state = snapshot + requests with their market times. The journal's name carries the
number of its snapshot: a kill between the two writes of a snapshot leaves a journal that no longer belongs.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson


class Asked(NamedTuple):
    """A request as it was performed."""

    now_ms: int
    account: str
    method: str
    path: str
    params: dict[str, str]


class VenueStore:
    """Files below ``folder``, written whole or not at all; what another market left there is replaced."""

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder, self._identity = folder, identity
        self._serial = 0
        self._journal: Any = None
        self.lines = 0
        folder.mkdir(parents=True, exist_ok=True)

    def load(self) -> tuple[dict[str, Any], list[Asked]] | None:
        """What a former process left; None at the first start, for another market, or when the file is damaged."""
        try:
            saved = orjson.loads((self._folder / "venue.json").read_bytes())
            if saved["identity"] != self._identity:
                return None
            self._serial = int(saved["serial"])
            state: dict[str, Any] = saved["state"]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        asked = []
        try:
            for line in self._path().read_bytes().splitlines():
                asked.append(Asked(*orjson.loads(line)))
        except FileNotFoundError:
            pass
        except (ValueError, TypeError):
            pass  # the last line was cut by a kill before its answer went out
        return state, asked

    def append(self, asked: Asked) -> None:
        """Before the answer: from here on a kill cannot undo the request (no fsync: the machine is not at stake)."""
        if self._journal is None:
            self._journal = self._path().open("ab", buffering=0)
        self._journal.write(orjson.dumps(list(asked)) + b"\n")
        self.lines += 1

    def snapshot(self, state: Mapping[str, Any]) -> None:
        """Start over from ``state``."""
        old = self._path()
        self.close()
        self._serial += 1
        self._path().unlink(missing_ok=True)
        text = orjson.dumps({"identity": self._identity, "serial": self._serial, "state": state})
        partial = self._folder / "venue.partial"
        partial.write_bytes(text)
        os.replace(partial, self._folder / "venue.json")
        old.unlink(missing_ok=True)
        self.lines = 0

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _path(self) -> Path:
        return self._folder / f"journal-{self._serial}.jsonl"
