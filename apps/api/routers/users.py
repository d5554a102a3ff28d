"""Users, for admins."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from apps.api.auth import Caller, accounts
from apps.api.deps import Db, Res
from apps.api.dto_auth import EndedDTO, LinkDTO, NewUserDTO, UserChangeIn, UserDTO, UserIn
from apps.api.queries.rows import iso_at, iso_of
from apps.api.routers.auth import drop_ended

router = APIRouter(prefix="/api/users", tags=["users"])
Name = Annotated[str, Path(max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$", examples=["kim"])]


@router.get("", operation_id="listUsers")
async def list_users(conn: Db) -> list[UserDTO]:
    """All users, oldest first."""
    return [_dto(row) for row in await accounts.users(conn)]


@router.post("", operation_id="createUser", status_code=201)
async def create_user(request: Request, conn: Db, caller: Caller, body: UserIn) -> NewUserDTO:
    """A new user, who signs in with the one-time link first."""
    token = await accounts.add_user(conn, body.name, body.role, actor=caller.name)
    return NewUserDTO(**_fields(await accounts.user(conn, body.name)), link=_link(request, token))


@router.post("/{name}", operation_id="changeUser")
async def change_user(name: Name, conn: Db, res: Res, caller: Caller, body: UserChangeIn) -> UserDTO:
    """Another role, or disabled or not. What he is signed in with ends. 409 for the last enabled admin."""
    await accounts.change_user(conn, name, role=body.role, disabled=body.disabled, actor=caller.name)
    await drop_ended(res)
    return _dto(await accounts.user(conn, name))


@router.post("/{name}/link", operation_id="linkUser")
async def link_user(name: Name, request: Request, conn: Db, caller: Caller) -> LinkDTO:
    """A new one-time link, for who forgot the password; an earlier one ends."""
    return LinkDTO(link=_link(request, await accounts.new_link(conn, name, actor=caller.name)))


@router.post("/{name}/reset-totp", operation_id="resetTotp")
async def reset_totp(name: Name, conn: Db, res: Res, caller: Caller) -> UserDTO:
    """Take a lost second factor away. What the user is signed in with ends."""
    await accounts.reset_totp(conn, name, actor=caller.name)
    await drop_ended(res)
    return _dto(await accounts.user(conn, name))


@router.post("/{name}/end-sessions", operation_id="endUserSessions")
async def end_user_sessions(name: Name, conn: Db, res: Res, caller: Caller) -> EndedDTO:
    """Sign a user out everywhere."""
    ended = await accounts.sign_out(conn, name, actor=caller.name)
    await drop_ended(res)
    return EndedDTO(ended=ended)


def _link(request: Request, token: str) -> str:
    return accounts.link(str(request.base_url).rstrip("/"), token)


def _dto(row: dict[str, Any]) -> UserDTO:
    return UserDTO(**_fields(row))


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": row["name"],
        "role": row["role"],
        "disabled": row["disabled_at"] is not None,
        "password": row["password"],
        "totp": row["totp"],
        "created": iso_of(row["created_at"]),
        "last_seen": iso_at(row["last_seen_at"]),
        "sessions": row["sessions"],
    }
