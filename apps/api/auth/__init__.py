"""Sign-in: who asks (``Caller``), what he may (``policy``), how he shows it (``sessions``, ``accounts``)."""

from apps.api.auth.caller import Caller
from apps.api.auth.identity import Identity
from apps.api.auth.policy import Role

__all__ = ["Caller", "Identity", "Role"]
