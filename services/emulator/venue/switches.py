"""What is not known for sure of the exchange, as switches; defaults are the reference's assumptions (§12)."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from packages.common.errors import InvalidInputError

_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "default_margin_type": ("CROSSED", "ISOLATED"),
    "fee_from": ("isolated", "wallet"),
    "triggered_event": ("random", "before_fills", "after_fills"),
    "account_update": ("first", "last", "random"),
    "stream_and_answer": ("random", "stream_first", "answer_first"),
    "child_client_id": ("algo", "own"),
    "reduce_only_oversize": ("trim", "reject"),
    "reduce_only_excess": ("reject", "push_out"),
    "flat_close_position": ("reject", "accept"),
    "flat_reduce_only_stop": ("accept", "reject"),
}


@dataclass(frozen=True, slots=True)
class Switches:
    """Behaviour of the trading half. Every field can be set by name, also at the admin port.

    ``fee_from``: an opening fee of an isolated position leaves its own wallet, or the account's.
    ``triggered_event``: ALGO_UPDATE TRIGGERED stands before or after the fills of the child.
    ``account_update``: ACCOUNT_UPDATE before or after the ORDER_TRADE_UPDATE of the same fill.
    ``stream_and_answer``: events reach the wire before the answer of the request that made them, or after it.
    ``child_client_id``: the child of an algo order carries its client id, or one that the exchange makes.
    ``reduce_only_oversize``: a reduce-only order above the position is cut down to it, or refused (-2022).
    ``reduce_only_excess``: with resting reduce-only orders, an order above what is left is refused (-4118), or pushes
    the oldest of them out (``er`` 4).
    ``flat_close_position``, ``flat_reduce_only_stop``: a flat account's stop with closePosition (-4509), or with
    reduceOnly (-2022), is refused or accepted.
    ``client_ids_reusable``: an id is free again once its order is done (else -4116 for ever).
    ``query_lag_ms``: for so long a new order cannot be queried yet (-2013).
    ``trigger_delay_ms``: an algo order stays so long in TRIGGERING.
    ``funding_late_ms``: the settlement takes those who hold a position so long after the full hour.
    ``public_brackets``: ``leverageBracket`` answers also without a key, so that a desk can load contracts before it has
    one; what is signed is checked all the same. The exchange wants a signature (false).
    ``answer_avg_price``: ``avgPrice`` and ``cumQuote`` in answers to POST and DELETE, as before July 2026.
    ``margin_call_ratio``: maintenance over balance above which MARGIN_CALL is sent.
    ``touch_share``: part of a second's volume that fills resting orders at a price that was touched, not passed.
    """

    default_margin_type: str = "CROSSED"
    fee_from: str = "isolated"
    triggered_event: str = "random"
    account_update: str = "first"
    stream_and_answer: str = "random"
    child_client_id: str = "algo"
    reduce_only_oversize: str = "trim"
    reduce_only_excess: str = "reject"
    flat_close_position: str = "reject"
    flat_reduce_only_stop: str = "accept"
    stp_mode: str = "EXPIRE_MAKER"
    client_ids_reusable: bool = True
    query_lag_ms: int = 0
    trigger_delay_ms: int = 0
    funding_late_ms: int = 0
    answer_avg_price: bool = False
    public_brackets: bool = True
    margin_call_ratio: str = "0.8"
    touch_share: str = "0.1"

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise InvalidInputError(name, getattr(self, name), "one of " + ", ".join(allowed))
        for name in ("query_lag_ms", "trigger_delay_ms", "funding_late_ms"):
            if getattr(self, name) < 0:
                raise InvalidInputError(name, getattr(self, name), "milliseconds >= 0")

    def changed(self, values: Mapping[str, object]) -> "Switches":
        """These switches with ``values`` in place; ``InvalidInputError`` for an unknown name or a wrong type."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in values.items():
            if name not in known:
                raise InvalidInputError(name, value, "one of " + ", ".join(known))
            if type(value) is not type(known[name]):
                raise InvalidInputError(name, value, f"a value like {known[name]!r}")
            known[name] = value
        return Switches(**known)
