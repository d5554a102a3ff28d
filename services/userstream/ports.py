"""What the user stream needs from outside."""

from typing import Protocol


class ListenKeyVenue(Protocol):
    """The exchange's side of the key. ``packages.exchange.trading.Trading`` is one."""

    async def create_listen_key(self) -> str:
        """The account's key; an active one is returned again and lives 60 more minutes."""

    async def keep_listen_key(self) -> str:
        """Extend it; returns the key that is active. ``VenueRejectedError`` (-1125) when there is none."""
