"""Kill campaigns add up over sittings: what each has found, kept kill by kill, so that an interruption loses none.

The file is ``{"seed", "sittings": [{"kills": [{"victim", "converged_s"}], "ended", "ok", ...}]}``. A sitting that was
interrupted has no ``ended``: its kills have converged, and nothing is said of its books.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from packages.common.errors import PlatformError
from packages.common.time import wall_ms

CONVERGED_S = 30.0


class SittingsError(PlatformError):
    """The file of earlier sittings is not one."""

    code = "CAMPAIGN_FILE"


class Sittings:
    """Those of one seed in ``path``, the last one under way. Raises ``SittingsError``."""

    def __init__(self, path: Path, seed: int) -> None:
        self._path, self._seed = path, seed
        path.parent.mkdir(parents=True, exist_ok=True)
        self._rows: list[dict[str, Any]] = _read(path, seed)
        self.before = sum(len(row["kills"]) for row in self._rows)  # kills of the earlier ones
        self._now: dict[str, Any] = {"kills": [], "ended": None, "ok": None}
        self._rows.append(self._now)

    def kill(self, victim: str, converged_s: float) -> None:
        """One more kill, which took so long to converge."""
        self._now["kills"].append({"victim": victim, "converged_s": round(converged_s, 2)})
        self._save()

    def end(self, *, ok: bool, **found: Any) -> None:
        """The sitting came to its end, with this judgement."""
        self._now |= {"ended": wall_ms(), "ok": ok, **found}
        self._save()

    def result(self) -> dict[str, Any]:
        """All sittings so far: ``ok`` when every judged one is and no kill converged late."""
        kills = [kill for row in self._rows for kill in row["kills"]]
        took = [kill["converged_s"] for kill in kills]
        late = sum(seconds > CONVERGED_S for seconds in took)
        judged = [row for row in self._rows if row["ended"] is not None]
        return {
            "ok": bool(judged) and all(row["ok"] for row in judged) and not late,
            "seed": self._seed,
            "kills": len(kills),
            "judged": sum(len(row["kills"]) for row in judged),
            "victims": dict(Counter(kill["victim"] for kill in kills)),
            "converged_s": {"p50": float(np.median(took)), "max": max(took)} if took else None,
            "late": late,
            "sittings": len(self._rows),
        }

    def _save(self) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps({"seed": self._seed, "sittings": self._rows}))
        temporary.replace(self._path)


def _read(path: Path, seed: int) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        found = json.loads(path.read_text())
        rows: list[dict[str, Any]] = found["sittings"]
        whole = found["seed"] == seed and all(
            isinstance(kill["converged_s"], float) for r in rows for kill in r["kills"]
        )
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise SittingsError(f"{path}: not sittings of a campaign ({type(exc).__name__}); move it away") from exc
    if not whole:
        raise SittingsError(f"{path}: not sittings of seed {seed}; move it away")
    return rows
