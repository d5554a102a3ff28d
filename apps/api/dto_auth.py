"""DTOs of sign-in, users and the audit log. Secrets stand in answers once, where they are made, and nowhere else."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from apps.api.auth.policy import Role, Scope

Password = Annotated[str, Field(max_length=1024)]
Code = Annotated[
    str, Field(min_length=1, max_length=40, description="Six digits, or where it says so a recovery code.")
]
UserName = Annotated[str, Field(max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$", examples=["kim"])]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LoginIn(_In):
    """Name and password, and a code of those who have a second factor."""

    name: UserName
    password: Password
    code: Code | None = None


class LinkIn(_In):
    """The token of a one-time link; ``password`` sets a new one, which is a must where money is at stake."""

    token: Annotated[str, Field(max_length=100)]
    password: Password | None = None
    code: Code | None = None


class StepUpIn(_In):
    """``name``: of the command line only, the admin whose code it is."""

    code: Code
    name: UserName | None = None


class CodeIn(_In):
    """A code of the second factor."""

    code: Code


class PasswordIn(_In):
    """``current`` is needed where there is one."""

    current: Password | None = None
    password: Password


class TotpIn(_In):
    """``password`` is needed when the sign-in is older than ten minutes."""

    password: Password | None = None


class MeUserDTO(BaseModel):
    """Who is signed in. ``totp``: has a second factor. ``password``: could sign in with one."""

    name: str
    role: Role
    totp: bool
    password: bool


class MeDTO(BaseModel):
    """The caller. ``csrf`` goes into the header X-CSRF of every change. ``demo``: the exchange is emulated, no money is
    at stake. ``first_use``: nobody could sign in with a password: the link that `perpilot up` told is the way in.
    """

    signed_in: bool
    user: MeUserDTO | None
    step_up_until: str | None
    csrf: str | None
    demo: bool
    first_use: bool


class TotpDTO(BaseModel):
    """Shown once; it counts when a code of it is confirmed."""

    secret: str
    uri: str
    qr_svg: str


class ConfirmedDTO(MeDTO):
    """As ``MeDTO``; each recovery code counts once, and they are shown once."""

    recovery_codes: list[str]


class SessionDTO(BaseModel):
    """A browser that is signed in."""

    id: int
    created: str
    last_seen: str
    expires: str
    user_agent: str | None
    current: bool


class TokenDTO(BaseModel):
    """An API token; what it is was shown when it was made."""

    id: int
    name: str
    role: Role
    scopes: list[Scope]
    created: str
    expires: str
    last_used: str | None


class TokenIn(_In):
    """``role``: at most the owner's. ``scopes``: those of the role by default. ``days``: how long it counts."""

    name: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["report"])]
    role: Role = Role.VIEWER
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))] | None = None
    days: Annotated[int, Field(ge=1, le=3650)] = 90


class NewTokenDTO(BaseModel):
    """``token`` is shown once; a request carries it as `Authorization: Bearer …`."""

    id: int
    name: str
    token: str


class UserDTO(BaseModel):
    """A user as an admin sees him. ``sessions``: browsers that are signed in now."""

    name: str
    role: Role
    disabled: bool
    password: bool
    totp: bool
    created: str
    last_seen: str | None
    sessions: int


class NewUserDTO(UserDTO):
    """``link``: one-time link, shown once, good for 24 hours."""

    link: str


class LinkDTO(BaseModel):
    """A one-time link, shown once, good for 24 hours."""

    link: str


class UserIn(_In):
    """A new user."""

    name: UserName
    role: Role


class UserChangeIn(_In):
    """What is to be other than now."""

    role: Role | None = None
    disabled: bool | None = None


class EndedDTO(BaseModel):
    """How many sessions were ended."""

    ended: int


class AuditDTO(BaseModel):
    """One change: who did what to what, and how it was before and after."""

    seq: int
    ts: str
    actor: str
    action: str
    target: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str | None


class ChainDTO(BaseModel):
    """Whether every row still follows from the one before it, as looked at within the last half minute."""

    ok: bool
    first_broken: int | None


class AuditPage(BaseModel):
    """Newest first."""

    items: list[AuditDTO]
    next_cursor: str | None
    chain: ChainDTO
