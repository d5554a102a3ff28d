"""The account's key on its way to the two processes that need it, and to no other."""

import math
import os
from collections.abc import Mapping

from packages.common.config import Settings
from packages.common.errors import SettingsError
from packages.exchange.binance.signing import FILE_VARIABLE, KEY_VARIABLE, SECRET_VARIABLE, load_credentials

TRADER = (KEY_VARIABLE, SECRET_VARIABLE, FILE_VARIABLE)
WATCHDOG = tuple(name.replace("EXCHANGE", "WATCHDOG") for name in TRADER)  # a key of its own, if there is one
_EMULATOR = ("EMULATOR_API_KEY", "EMULATOR_API_SECRET")  # what an emulator of ours was told to accept


def withheld(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` without any key: what a process gets that was not given one by name."""
    return {name: value for name, value in environment.items() if name not in (*TRADER, *WATCHDOG)}


def trader_key(
    settings: Settings, *, own_exchange: bool, environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The variables that carry the account's key; empty where no account may be traded (MODE).

    An emulator knows the test key, which is in this repository and which everybody knows; one of ours knows no other,
    and a real key has no business there. Raises ``SettingsError`` and ``InvalidInputError``, which never quote a key.
    """
    if settings.mode != "live":
        return {}
    if math.isinf(settings.clock_speed):
        raise SettingsError("SPEED: live trading needs a market that moves by itself; set a number")
    given = {name: environment[name] for name in TRADER if environment.get(name)}
    if own_exchange:
        given = {name: environment.get(own, "") for name, own in zip(TRADER, _EMULATOR, strict=False)}
    if load_credentials(given) is not None:
        return given
    if settings.exchange != "emulator":
        raise SettingsError(
            f"MODE=live: needs a key of the account; set {KEY_VARIABLE} and {SECRET_VARIABLE}, or {FILE_VARIABLE}"
        )
    from services.emulator.keys import TEST_KEY

    return {KEY_VARIABLE: TEST_KEY.key, SECRET_VARIABLE: TEST_KEY.secret}


def watchdog_key(
    trader: Mapping[str, str], *, own_exchange: bool, environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """What the watchdog gets: the trader's key, and its own where one is set."""
    own = {} if own_exchange else {name: environment[name] for name in WATCHDOG if environment.get(name)}
    return {**trader, **own}
