"""Every block reason (D23), under the policy's name; the words stand in ``packages.common``: risk says them too."""

from packages.common.reasons import N_CODES, REASONS, Reason, reason_code, reason_of

__all__ = ["N_CODES", "REASONS", "Reason", "reason_code", "reason_of"]
