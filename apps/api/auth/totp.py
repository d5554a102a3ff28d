"""The second factor: six digits of RFC 6238, each counted once, and recovery codes for a lost telephone."""

import base64
import hmac
import io
import secrets

import pyotp
import segno

STEP_S, DRIFT = 30, 1  # steps that a clock may be off
RECOVERY_CODES = 10


def new_secret() -> str:
    """160 random bits in base32, as authenticator apps read them."""
    return pyotp.random_base32()


def matching_step(secret: str, code: str, now_ms: int, newest_used: int | None) -> int | None:
    """The step whose code this is, younger than ``newest_used``; None: wrong, too old or used already."""
    now, given = now_ms // 1000 // STEP_S, code.replace(" ", "").encode()
    generate = pyotp.TOTP(secret).generate_otp
    found = None
    for step in range(now - DRIFT, now + DRIFT + 1):
        right = hmac.compare_digest(generate(step).encode(), given)
        if right and (newest_used is None or step > newest_used):
            found = step
    return found


def uri(secret: str, name: str) -> str:
    """What an authenticator app reads."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name="Perpilot")


def qr_svg(text: str) -> str:
    """``text`` as a picture to scan: a complete SVG document, dark on light whatever the theme."""
    out = io.BytesIO()
    segno.make_qr(text, error="m").save(out, kind="svg", scale=5, border=4, dark="#000", light="#fff")
    return out.getvalue().decode()


def new_recovery_codes() -> list[str]:
    """80 random bits each: too many to guess, so their sha256 is kept."""
    return [_grouped(base64.b32encode(secrets.token_bytes(10)).decode().lower()) for _ in range(RECOVERY_CODES)]


def plain_code(code: str) -> str:
    """A recovery code as it is hashed, however it was typed."""
    return _grouped(code.lower().replace("-", "").replace(" ", ""))


def _grouped(text: str) -> str:
    return "-".join(text[i : i + 4] for i in range(0, len(text), 4))
