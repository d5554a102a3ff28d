"""The documented codes are those that the sources can emit: a new one without a text for pages is found here."""

import ast
import json
import re
from pathlib import Path

from apps.api.codes import CODES
from apps.api.export_openapi import document
from packages.exchange.trading import PermissionFault
from services.execution.core.events import ForeignKind
from services.execution.gate import EVIDENCE
from services.execution.kill_switch import Trigger

ROOT = Path(__file__).resolve().parents[3]
# Expressions that stand for several codes, or for codes that are found where they come from.
SEVERAL = {
    "kind.name": {kind.name for kind in ForeignKind},
    "'MISMATCHED_' + leg.name": {"MISMATCHED_STOP", "MISMATCHED_TARGET"},
    "code": set(), "code.upper()": set(), "reason": set(), "trip.code": set(), "reasons": set(),
    "'KILL_SWITCH' if s.exit_reason is None else 'CLOSED'": {"KILL_SWITCH", "CLOSED"},
    "('SETUP_FAILED' if isinstance(exc, VenueError) else 'ORDER_INVALID',)": {"SETUP_FAILED", "ORDER_INVALID"},
    "f'NO_EVIDENCE_{kind.upper()}'": {f"NO_EVIDENCE_{kind.upper()}" for kind in EVIDENCE},
    "fault.value": {fault.value for fault in PermissionFault},
}  # fmt: skip


def calls(*places):
    """(name, positional arguments) of every call in the sources of ``places``."""
    for place in places:
        path = ROOT / place
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            if "tests" in file.parts:
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call):
                    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                    yield name, node.args


def emitted(places, faces):
    """Codes given to calls of ``faces`` (name → position of the code)."""
    found = set()
    for name, arguments in calls(*places):
        if name not in faces or len(arguments) <= faces[name]:
            continue
        said = arguments[faces[name]]
        text = ast.unparse(said)
        if isinstance(said, ast.Constant):
            found.add(str(said.value).upper())
        elif isinstance(said, ast.Tuple) and all(isinstance(one, ast.Constant) for one in said.elts):
            found |= {one.value for one in said.elts}
        elif text.startswith("Trigger."):
            found.add(Trigger[text.removeprefix("Trigger.")].value)
        elif isinstance(said, ast.JoinedStr) and "leg.value" in text:  # an order's leg, and what became of it
            for leg in ("stop", "target"):
                ends = ("expired", "rejected") if "status.value" in text else ("",)
                found |= {
                    re.sub(r"^f'|'$", "", text).replace("{leg.value}", leg).replace("{status.value}", end).upper()
                    for end in ends
                }
        else:
            assert text in SEVERAL, f"{name}({text}): say in SEVERAL which codes this is"
            found |= SEVERAL[text]
    return found


def test_what_halts_is_documented():
    execution = ("services/execution", "apps/worker_realtime")
    trips = emitted(("services/execution/kill_switch.py",), {"trip": 0}) | {"DAILY_LOSS", "WEEKLY_LOSS", "DRAWDOWN"}
    trips |= emitted(("services/execution/core",), {"trip": 1, "cannot_protect": 0})
    trips -= {"SETTLEMENT"}  # that only alerts
    trips |= emitted(execution, {"Trip": 1}) - {"OPERATOR"}
    source = (ROOT / "services/execution/journal.py").read_text()
    assert 'DAMAGED = "JOURNAL_DAMAGED"' in source  # a damaged journal begins with this latch
    assert trips | {"OPERATOR", "JOURNAL_DAMAGED"} == set(CODES["halts"])


def test_what_is_told_is_documented():
    told = emitted(("services/execution",), {"risk": 0})
    told |= emitted(("services/execution/core",), {"alert": 0})
    told -= {"LIQUIDATION", "ADL", "MANUAL"}  # these trip
    event_types = {
        value.value
        for file in (ROOT / "apps").rglob("*.py")
        if "tests" not in file.parts
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "event_type" and isinstance(value, ast.Constant)
    }
    assert told | event_types | set(CODES["halts"]) == set(CODES["risk_events"])


def test_what_blocks_and_refuses_is_documented():
    blocks = emitted(("services/execution/kill_switch.py",), {"block": 0})
    assert blocks == set(CODES["entry_blocks"])
    lapses = emitted(("services/execution/core",), {"lapse": 0}) | emitted(("services/execution",), {"_lapse": 1})
    assert lapses | blocks <= set(CODES["entry_refusals"])
    gate = emitted(("services/execution/gate.py",), {"need": 1}) | emitted(("apps/api/live_gate.py",), {"_row": 0})
    assert gate == set(CODES["gate_conditions"])
    watchdog = ast.parse((ROOT / "apps/watchdog/core.py").read_text())
    (alarms,) = (node for node in watchdog.body if isinstance(node, ast.ClassDef) and node.name == "Alarm")
    assert [row.value.value for row in alarms.body if isinstance(row, ast.Assign)] == list(CODES["alarms"])


def test_what_is_unmet_is_documented():
    text = "".join(file.read_text() for file in (ROOT / "apps/api").rglob("*.py") if "tests" not in file.parts)
    conditions = set(re.findall(r'Condition(?:DTO)?\(\s*code="([A-Z_]+)"', text))
    conditions |= set(re.findall(r'"(RL_[A-Z_]+)"', (ROOT / "apps/api/queries/rl.py").read_text()))
    conditions |= {f"EVIDENCE_{kind.upper()}" for kind in EVIDENCE}
    assert conditions - set(CODES["gate_conditions"]) == set(CODES["conditions"]) - set(CODES["gate_conditions"])
    assert conditions <= set(CODES["conditions"])


def test_the_document_names_them_once_each():
    told = json.loads(document())["info"]["x-codes"]
    assert told == {where: list(codes) for where, codes in CODES.items()}
    for codes in told.values():
        assert len(set(codes)) == len(codes)
        assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", code) for code in codes)
