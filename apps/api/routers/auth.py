"""Signing in, and what everybody changes about his own sign-in."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from apps.api.auth import Caller, Identity, accounts, sessions, totp
from apps.api.auth.caller import identify
from apps.api.auth.errors import RoleNeededError
from apps.api.auth.policy import Role
from apps.api.auth.sign_in import Peer
from apps.api.deps import Db, Res, Resources
from apps.api.dto_auth import (
    CodeIn,
    ConfirmedDTO,
    LinkIn,
    LoginIn,
    MeDTO,
    MeUserDTO,
    NewTokenDTO,
    PasswordIn,
    SessionDTO,
    StepUpIn,
    TokenDTO,
    TokenIn,
    TotpDTO,
    TotpIn,
)
from apps.api.queries.rows import iso_at, iso_of
from packages.common.time import iso

router = APIRouter(prefix="/api/auth", tags=["auth"])
RowId = Annotated[int, Path(ge=1, le=2**62)]


@router.get("/me", operation_id="getMe")
async def get_me(request: Request, res: Res) -> MeDTO:
    """Who is signed in; also for those who are not."""
    return await _me(res, await identify(request), request.cookies.get(sessions.COOKIE))


@router.post("/login", operation_id="login")
async def login(request: Request, response: Response, res: Res, body: LoginIn) -> MeDTO:
    """Sign in with a password. 401 `SIGN_IN_REFUSED` says not what was wrong; `CODE_NEEDED`: ask again with `code`."""
    secret = await res.sign_in.by_password(body.name, body.password, body.code, peer_of(request))
    return await _renewed(request, response, res, secret)


@router.post("/link", operation_id="useLink")
async def use_link(request: Request, response: Response, res: Res, body: LinkIn) -> MeDTO:
    """Sign in with a one-time link. Where money is at stake it sets a new password; a second factor is asked for."""
    secret = await res.sign_in.by_link(body.token, body.password, body.code, peer_of(request))
    await drop_ended(res)
    return await _renewed(request, response, res, secret)


@router.post("/logout", operation_id="logout", status_code=204)
async def logout(response: Response, res: Res, caller: Caller) -> None:
    """End this session and its sockets."""
    await res.sign_in.out(caller)
    await drop_ended(res)
    response.delete_cookie(sessions.COOKIE, path="/", httponly=True, samesite="strict")


@router.post("/step-up", operation_id="stepUp")
async def step_up(request: Request, response: Response, res: Res, caller: Caller, body: StepUpIn) -> MeDTO:
    """Prove the second factor for five minutes. A code counts once."""
    secret = await res.sign_in.step_up(caller, body.code, body.name, peer_of(request))
    if secret is None:
        return await _me(res, await identify(request), None)
    return await _renewed(request, response, res, secret)


@router.post("/password", operation_id="changePassword")
async def change_password(request: Request, response: Response, res: Res, caller: Caller, body: PasswordIn) -> MeDTO:
    """A new password of 12 characters or more. All other sessions end."""
    secret = await res.sign_in.change_password(caller, body.current, body.password, peer_of(request))
    await drop_ended(res)
    return await _renewed(request, response, res, secret)


@router.post("/totp", operation_id="startTotp")
async def start_totp(request: Request, res: Res, caller: Caller, body: TotpIn) -> TotpDTO:
    """A secret for an authenticator app. It counts once a code of it is confirmed."""
    secret = await res.sign_in.start_totp(caller, body.password, peer_of(request))
    uri = totp.uri(secret, caller.name)
    return TotpDTO(secret=secret, uri=uri, qr_svg=totp.qr_svg(uri))


@router.post("/totp/confirm", operation_id="confirmTotp")
async def confirm_totp(request: Request, response: Response, res: Res, caller: Caller, body: CodeIn) -> ConfirmedDTO:
    """From now on signing in and live actions need a code. All other sessions end."""
    secret, codes = await res.sign_in.confirm_totp(caller, body.code, peer_of(request))
    await drop_ended(res)
    me = await _renewed(request, response, res, secret)
    return ConfirmedDTO(**me.model_dump(), recovery_codes=codes)


@router.post("/totp/remove", operation_id="removeTotp")
async def remove_totp(request: Request, response: Response, res: Res, caller: Caller, body: CodeIn) -> MeDTO:
    """No second factor any more; against a code or a recovery code."""
    secret = await res.sign_in.remove_totp(caller, body.code, peer_of(request))
    return await _renewed(request, response, res, secret)


@router.get("/sessions", operation_id="listSessions")
async def list_sessions(conn: Db, caller: Caller) -> list[SessionDTO]:
    """Where the caller is signed in."""
    assert caller.user_id is not None
    return [
        SessionDTO(
            id=row["number"],
            created=iso_of(row["created_at"]),
            last_seen=iso_of(row["last_seen_at"]),
            expires=iso_of(row["expires_at"]),
            user_agent=row["user_agent"],
            current=row["number"] == caller.number,
        )
        for row in await accounts.sessions(conn, caller.user_id)
    ]


@router.post("/sessions/{id}/end", operation_id="endSession", status_code=204)
async def end_session(id: RowId, conn: Db, res: Res, caller: Caller) -> None:
    """Sign out one of the caller's browsers; its sockets close."""
    assert caller.user_id is not None
    await accounts.end_session(conn, caller.user_id, id, actor=caller.name)
    await drop_ended(res)


@router.get("/tokens", operation_id="listTokens")
async def list_tokens(conn: Db, caller: Caller) -> list[TokenDTO]:
    """The caller's API tokens."""
    assert caller.user_id is not None
    return [token_dto(row) for row in await accounts.tokens(conn, caller.user_id)]


@router.post("/tokens", operation_id="createToken")
async def create_token(conn: Db, caller: Caller, body: TokenIn) -> NewTokenDTO:
    """A token for a script, never above the caller's role; it can do no live action that needs a second factor."""
    assert caller.user_id is not None
    if body.role.rank > caller.role.rank:
        raise RoleNeededError(f"role: got {body.role}, {caller.name} is {caller.role}")
    if body.role is Role.ADMIN:
        caller.require("createToken.admin")
    token_id, token = await accounts.add_token(
        conn, caller.name, body.name, body.role, body.scopes, body.days, actor=caller.name
    )
    return NewTokenDTO(id=token_id, name=body.name, token=token)


@router.post("/tokens/{id}/end", operation_id="endToken", status_code=204)
async def end_token(id: RowId, conn: Db, res: Res, caller: Caller) -> None:
    """The token counts no more; its sockets close."""
    assert caller.user_id is not None
    await accounts.end_token(conn, caller.user_id, id, actor=caller.name)
    await drop_ended(res)


def peer_of(request: Request) -> Peer:
    """Where the request comes from."""
    host = request.client.host if request.client else ""
    return Peer(host, request.headers.get("user-agent", ""), request.cookies.get(sessions.COOKIE, ""))


async def drop_ended(res: Resources) -> None:
    """Somebody was signed out here: look everybody up anew, and close the sockets of those who are gone."""
    res.sessions.forget()
    await res.hub.end(await res.sessions.ended(res.hub.callers()))


def token_dto(row: dict[str, object]) -> TokenDTO:
    """A row of ``accounts.tokens``."""
    times = {name: iso_at(row[f"{name}_at"]) for name in ("created", "expires", "last_used")}  # type: ignore[arg-type]
    return TokenDTO.model_validate(
        {"id": row["token_id"], "name": row["name"], "role": row["role"], "scopes": row["scopes"], **times}
    )


async def _renewed(request: Request, response: Response, res: Resources, secret: str) -> MeDTO:
    """The answer that carries a session's new value."""
    response.set_cookie(
        sessions.COOKIE, secret, max_age=sessions.LIFE_S, path="/", httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return await _me(res, await res.sessions.of_cookie(secret), secret)


async def _me(res: Resources, caller: Identity | None, secret: str | None) -> MeDTO:
    async with res.pool.connection() as conn:
        first_use = not await accounts.password_held(conn)
    user = None
    if caller is not None:
        user = MeUserDTO(name=caller.name, role=caller.role, totp=caller.totp, password=caller.password)
    return MeDTO(
        signed_in=caller is not None,
        user=user,
        step_up_until=iso(caller.proven_until_ms) if caller is not None and caller.second_factor else None,
        csrf=sessions.csrf_of(secret) if secret and caller is not None else None,
        demo=res.settings.exchange == "emulator",
        first_use=first_use,
    )
