"""Why a symbol was not traded, and why a position was closed: stable names (D23) with stable integers for arrays.

Integers are stored in replayable payloads: append, never renumber. 0 means "none".
"""

from enum import StrEnum


class Reason(StrEnum):
    """Block reasons in the order in which the kernel tests them."""

    DATA_STALE = "DATA_STALE"
    FEATURE_NAN = "FEATURE_NAN"
    SYMBOL_NOT_TRADABLE = "SYMBOL_NOT_TRADABLE"
    DRIFT_BLOCK = "DRIFT_BLOCK"
    TRADING_OFF = "TRADING_OFF"
    KILL_SWITCH = "KILL_SWITCH"
    DAILY_LOSS_LIMIT = "DAILY_LOSS_LIMIT"
    ALREADY_IN_POSITION = "ALREADY_IN_POSITION"
    COOLDOWN = "COOLDOWN"
    LOSS_PAUSE = "LOSS_PAUSE"
    REGIME_BLOCK = "REGIME_BLOCK"
    EV_BELOW_MIN = "EV_BELOW_MIN"
    Q05_BELOW_MIN = "Q05_BELOW_MIN"
    MAE_ABOVE_MAX = "MAE_ABOVE_MAX"
    STOP_TOO_TIGHT = "STOP_TOO_TIGHT"
    LIQUIDATION_TOO_NEAR = "LIQUIDATION_TOO_NEAR"
    MAX_POSITIONS = "MAX_POSITIONS"
    MAX_TOTAL_NOTIONAL = "MAX_TOTAL_NOTIONAL"
    MAX_DIRECTIONAL_NOTIONAL = "MAX_DIRECTIONAL_NOTIONAL"
    TIER_CAP = "TIER_CAP"
    BETA_CAP = "BETA_CAP"
    MAX_USED_MARGIN = "MAX_USED_MARGIN"
    DAY_RISK_BUDGET = "DAY_RISK_BUDGET"
    MARKET_QTY = "MARKET_QTY"
    PARTICIPATION = "PARTICIPATION"
    STOP_PATH_UNPROVEN = "STOP_PATH_UNPROVEN"
    MIN_NOTIONAL = "MIN_NOTIONAL"


class ExitReason(StrEnum):
    """Why a position was closed (kernel.md, steps 1-3)."""

    SL = "SL"
    TP = "TP"
    SL_GAP = "SL_GAP"
    TP_GAP = "TP_GAP"
    LIQUIDATION = "LIQUIDATION"
    TIME = "TIME"
    HALT = "HALT"
    AGENT = "AGENT"
    OPERATOR = "OPERATOR"


REASONS: tuple[Reason, ...] = tuple(Reason)
EXIT_REASONS: tuple[ExitReason, ...] = tuple(ExitReason)
N_CODES = len(REASONS) + 1  # size of an array indexed by code

# The integers, spelled out because compiled code wants constants; `test_codes_match_the_names` holds them together.
DATA_STALE, FEATURE_NAN, SYMBOL_NOT_TRADABLE, DRIFT_BLOCK, TRADING_OFF, KILL_SWITCH = 1, 2, 3, 4, 5, 6
DAILY_LOSS_LIMIT, ALREADY_IN_POSITION, COOLDOWN, LOSS_PAUSE, REGIME_BLOCK = 7, 8, 9, 10, 11
EV_BELOW_MIN, Q05_BELOW_MIN, MAE_ABOVE_MAX, STOP_TOO_TIGHT, LIQUIDATION_TOO_NEAR = 12, 13, 14, 15, 16
MAX_POSITIONS, MAX_TOTAL_NOTIONAL, MAX_DIRECTIONAL_NOTIONAL, TIER_CAP, BETA_CAP = 17, 18, 19, 20, 21
MAX_USED_MARGIN, DAY_RISK_BUDGET, MARKET_QTY, PARTICIPATION, STOP_PATH_UNPROVEN, MIN_NOTIONAL = 22, 23, 24, 25, 26, 27

SL, TP, SL_GAP, TP_GAP, LIQUIDATION, TIME, HALT, AGENT, OPERATOR = 1, 2, 3, 4, 5, 6, 7, 8, 9


def reason_code(reason: Reason) -> int:
    """The stable integer of a block reason, 1 … 27."""
    return REASONS.index(reason) + 1


def reason_of(code: int) -> Reason:
    """The block reason of an integer; raises ``IndexError`` for 0 or an unknown one."""
    if not 1 <= code <= len(REASONS):
        raise IndexError(f"code: got {code}, expected 1 … {len(REASONS)}")
    return REASONS[code - 1]


def exit_reason_of(code: int) -> ExitReason:
    """The exit reason of an integer; raises ``IndexError`` for 0 or an unknown one."""
    if not 1 <= code <= len(EXIT_REASONS):
        raise IndexError(f"code: got {code}, expected 1 … {len(EXIT_REASONS)}")
    return EXIT_REASONS[code - 1]
