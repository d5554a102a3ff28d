"""Who may do what: one table from operation (and channel) to the least role. What is not in it is not served.

Keys are the ``operation_id`` of a route, the name of a WebSocket route, or ``operation.variant`` where what is asked
for decides, which a handler checks with ``caller.require``. Halting, flattening, closing and switching off are never
hindered by a second factor.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.routing import BaseRoute


class Role(StrEnum):
    """What somebody is trusted with; each may all that the one before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """Grows with the trust."""
        return list(Role).index(self)


class Scope(StrEnum):
    """What an API token was made for, within the role of its owner."""

    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"
    METRICS = "metrics"


DEFAULT_SCOPES = {
    Role.VIEWER: (Scope.READ,),
    Role.OPERATOR: (Scope.READ, Scope.OPERATE),
    Role.ADMIN: (Scope.READ, Scope.OPERATE, Scope.ADMIN),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """``role`` None: anybody. ``live_action``: where money is at stake a fresh second factor is needed too.

    ``own``: about the caller's own sign-in, which a token can never change. ``metrics``: peers on this machine need no
    sign-in, others a token with that scope.
    """

    role: Role | None = None
    live_action: bool = False
    own: bool = False
    metrics: bool = False

    @property
    def scope(self) -> Scope:
        """What a token must have been made for."""
        if self.metrics:
            return Scope.METRICS
        return {Role.OPERATOR: Scope.OPERATE, Role.ADMIN: Scope.ADMIN}.get(self.role or Role.VIEWER, Scope.READ)


PUBLIC = Rule()
VIEWER, OPERATOR, ADMIN = (Rule(role) for role in Role)
OPERATOR_LIVE, ADMIN_LIVE = Rule(Role.OPERATOR, live_action=True), Rule(Role.ADMIN, live_action=True)
OWN = Rule(Role.VIEWER, own=True)

OPERATIONS: dict[str, Rule] = {
    # the process itself
    "getHealth": PUBLIC,
    "getReadiness": PUBLIC,
    "getMetrics": Rule(Role.VIEWER, metrics=True),
    "openapi": PUBLIC,  # the document, which is in the repository
    "gateway": VIEWER,  # its channels: below
    # signing in, and everybody's own sign-in
    "getMe": PUBLIC,
    "login": PUBLIC,
    "useLink": PUBLIC,
    "logout": OWN,
    "stepUp": VIEWER,
    "changePassword": OWN,
    "startTotp": OWN,
    "confirmTotp": OWN,
    "removeTotp": OWN,
    "listSessions": OWN,
    "endSession": OWN,
    "listTokens": OWN,
    "createToken": OWN,
    "createToken.admin": ADMIN_LIVE,  # it outlives the session by far
    "endToken": OWN,
    # others; who can make an admin can do all that one can, so that is as well kept as a live action
    "listUsers": ADMIN,
    "createUser": ADMIN_LIVE,
    "changeUser": ADMIN_LIVE,
    "linkUser": ADMIN_LIVE,
    "resetTotp": ADMIN_LIVE,
    "endUserSessions": ADMIN,
    "listAudit": ADMIN,
    # reading
    "getStatus": VIEWER,
    "listProcesses": VIEWER,
    "listInstruments": VIEWER,
    "getAccount": VIEWER,
    "getEquity": VIEWER,
    "listPositions": VIEWER,
    "listOrders": VIEWER,
    "listOpenOrders": VIEWER,
    "listTrades": VIEWER,
    "listFills": VIEWER,
    "listIntents": VIEWER,
    "getExecution": VIEWER,
    "getAttribution": VIEWER,
    "listAttributedTrades": VIEWER,
    "listSignals": VIEWER,
    "getSeries": VIEWER,
    "getRiskState": VIEWER,
    "getDataQuality": VIEWER,
    "getDataQualityMap": VIEWER,
    "getDrift": VIEWER,
    "listJobs": VIEWER,
    "listModels": VIEWER,
    "getModel": VIEWER,
    "listRLModels": VIEWER,
    "listRLDecisions": VIEWER,
    "getSettings": VIEWER,
    "getTradingState": VIEWER,
    "getGate": VIEWER,
    "listDeskCommands": VIEWER,
    "listSettingsVersions": VIEWER,
    # the desk itself
    "changeSettings": ADMIN_LIVE,  # it can loosen the limits
    "restartWorker": ADMIN_LIVE,  # what was changed counts then
    "getJob": VIEWER,
    "startJob": OPERATOR,
    "cancelJob": OPERATOR,
    "retryJob": OPERATOR,
    "startRepair": OPERATOR,
    "listSchedules": VIEWER,
    "changeSchedule": OPERATOR,
    "runSchedule": OPERATOR,
    "getEvidence": VIEWER,
    "promoteModel": ADMIN_LIVE,
    "rollbackModel": ADMIN_LIVE,
    "getExplain": VIEWER,
    "getFunnel": VIEWER,
    "getWhyNot": VIEWER,
    "getLatency": VIEWER,
    "getProfit": VIEWER,
    "getEquityOverlay": VIEWER,
    "listAnnotations": VIEWER,
    "listRiskEvents": VIEWER,
    "listGaps": VIEWER,
    "listQualityEvents": VIEWER,
    "getModelReport": VIEWER,
    "getRLModel": VIEWER,
    "getRLDecisionStats": VIEWER,
    "promoteRLModel": ADMIN_LIVE,
    "explainSignal": OPERATOR,
    # trading
    "toggleTrading": OPERATOR,
    "toggleTrading.live": ADMIN_LIVE,
    "moveKillSwitch": OPERATOR,
    "moveKillSwitch.resume": OPERATOR_LIVE,
    "closePosition": OPERATOR,
    "pauseSymbol": OPERATOR,
    "unpauseSymbol": OPERATOR,
}

CHANNELS: dict[str, Rule] = {
    "status_updates": VIEWER,
    "account_updates": VIEWER,
    "position_updates": VIEWER,
    "order_updates": VIEWER,
    "signal_updates": VIEWER,
    "risk_events": VIEWER,
    "training_updates": VIEWER,
    "rl_decisions": VIEWER,
}


def operation_of(route: BaseRoute) -> str:
    """The name under which ``route`` stands in the table."""
    name = (route.operation_id if isinstance(route, APIRoute) else None) or getattr(route, "name", None)
    return name or repr(route)


def check(routes: Iterable[BaseRoute], channels: Iterable[str]) -> None:
    """Raises ``RuntimeError`` when a route or a channel is not in the table: such a server must not start."""
    for route in routes:
        if not isinstance(route, APIRoute | APIWebSocketRoute) or operation_of(route) not in OPERATIONS:
            raise RuntimeError(f"{operation_of(route)}: a route that is not in apps/api/auth/policy.py")
    for channel in channels:
        if channel not in CHANNELS:
            raise RuntimeError(f"{channel}: a channel that is not in apps/api/auth/policy.py")
