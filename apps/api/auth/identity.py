"""Who is asking, and what he may."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from apps.api.auth.errors import RoleNeededError, ScopeNeededError, StepUpNeededError
from apps.api.auth.policy import OPERATIONS, Role, Rule, Scope
from packages.common.time import wall_ms


class Kind(StrEnum):
    """How he showed who he is."""

    SESSION = "session"  # a person in a browser
    TOKEN = "token"  # noqa: S105 - a script, on behalf of a person
    LOCAL = "local"  # the command line of this machine, with the file that `perpilot up` wrote


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller. ``number``: the row of his session or token. ``proven_until_ms``: wall time until which his second
    factor counts, 0 never. ``real_money``: the exchange is not the emulator. ``proven_by``: whose code the command
    line gave. ``passing``: by the value that his session had a moment ago, which only reads.
    """

    name: str
    role: Role
    kind: Kind
    number: int
    real_money: bool
    user_id: UUID | None = None
    scopes: frozenset[str] = frozenset(Scope)
    totp: bool = False
    password: bool = False
    proven_until_ms: int = 0
    proven_by: str | None = None
    passing: bool = False

    @property
    def second_factor(self) -> bool:
        """Proven within the last minutes."""
        return wall_ms() < self.proven_until_ms

    @property
    def second_factor_due(self) -> bool:
        """Whether a live action has to wait for a code. At the emulator only of those who have a second factor."""
        return (self.real_money or self.totp) and not self.second_factor

    @property
    def signed_in_admin(self) -> bool:
        """An admin in person: at the command line one whose code was just accepted."""
        person = self.kind is Kind.SESSION or (self.kind is Kind.LOCAL and self.second_factor)
        return person and self.role is Role.ADMIN

    def require(self, operation: str) -> None:
        """Raises an ``AuthError`` unless the table lets him do ``operation`` (``operation_id`` or a variant of it)."""
        self.obey(OPERATIONS[operation])

    def obey(self, rule: Rule) -> None:
        """As ``require``, for a rule."""
        if rule.own and self.kind is not Kind.SESSION:
            raise ScopeNeededError("expected somebody who is signed in: a token cannot change a sign-in")
        if self.kind is Kind.TOKEN and rule.scope not in self.scopes:
            raise ScopeNeededError(f"expected a token with the scope {rule.scope}")
        if rule.role is not None and self.role.rank < rule.role.rank:
            raise RoleNeededError(f"expected the role {rule.role}, {self.name} is {self.role}")
        if rule.live_action and self.second_factor_due:
            raise StepUpNeededError
