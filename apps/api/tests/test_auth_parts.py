"""The parts of sign-in that need no server."""

import hashlib
import stat
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pyotp
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from apps.api.auth import passwords, throttle, totp
from apps.api.auth.errors import TooManyAttemptsError
from apps.api.auth.sessions import csrf_of, digest, new_secret
from apps.api.auth.vault import Vault
from apps.api.db import make_pool
from packages.common.errors import InvalidInputError, StoreUnavailableError

# RFC 6238, appendix B, SHA-1: seconds and the last six digits
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RFC = [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")]


@pytest.mark.parametrize(("seconds", "code"), RFC)
def test_codes_are_those_of_the_rfc(seconds, code):
    assert totp.matching_step(RFC_SECRET, code, seconds * 1000, None) == seconds // 30


@given(st.integers(300, 2**33), st.integers(-5, 5))
def test_a_code_counts_half_a_minute_either_way_and_once(seconds, off):
    step = seconds // 30
    code = pyotp.TOTP(RFC_SECRET).generate_otp(step + off)
    found = totp.matching_step(RFC_SECRET, code, seconds * 1000, None)
    near = [pyotp.TOTP(RFC_SECRET).generate_otp(s) for s in (step - 1, step, step + 1)]
    assert (found is not None) == (code in near)
    if found is not None:
        assert totp.matching_step(RFC_SECRET, code, seconds * 1000, found + 1) is None


@given(st.text(max_size=20))
def test_no_text_is_a_code_or_an_error(text):
    assert totp.matching_step(RFC_SECRET, text, 3_000_000, 200) is None


def test_recovery_codes_are_read_however_they_are_typed():
    codes = totp.new_recovery_codes()
    assert len(set(codes)) == totp.RECOVERY_CODES
    for code in codes:
        assert len(code.replace("-", "")) == 16
        for typed in (code, code.upper(), code.replace("-", ""), code.replace("-", " ")):
            assert totp.plain_code(typed) == code


def test_the_picture_is_one_that_a_page_may_show():
    svg = totp.qr_svg(totp.uri(RFC_SECRET, "kim"))
    assert "<svg" in svg
    assert "<script" not in svg


@pytest_asyncio.fixture
async def held(postgres_url, tmp_path):
    """A throttle in a database."""
    pool = make_pool(postgres_url)
    await pool.open(wait=True)
    yield throttle.Throttle(pool, Vault(tmp_path).digest)
    await pool.close()


async def waiting(held, key, free, now_ms):
    """Seconds that an attempt has to wait; 0: it was made."""
    try:
        await held.begin(key, free, now_ms)
    except TooManyAttemptsError as exc:
        return int(exc.headers["Retry-After"])
    return 0


@pytest.mark.integration
async def test_waiting_grows_is_bounded_and_ends(held):
    now, waits = 1_770_000_000_000, []
    for _ in range(16):
        assert await waiting(held, "k", 3, now) == 0
        waits.append(await waiting(held, "k", 3, now) if len(waits) >= 2 else 0)
        now += 1_000 * waits[-1]
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256] + [300] * 5
    assert await waiting(held, "k", 3, now - 1_500) == 2
    assert await waiting(held, "other", 3, now) == 0
    assert await waiting(held, "k", 3, now + 15 * 60_000) == 0  # the last wait is over
    assert await waiting(held, "k", 3, now + 30 * 60_000 + 1) == 0  # and fifteen quiet minutes are forgotten
    assert await waiting(held, "k", 3, now + 30 * 60_000 + 1) == 0
    assert await waiting(held, "k", 3, now - 86_400_000) == 0  # a clock that was set back locks nobody out


@pytest.mark.integration
async def test_what_was_right_does_not_count(held):
    now = 1_770_000_000_000
    for _ in range(5):
        await held.begin("k", 2, now)
        await held.succeeded("k", forgive=False)
    assert [await waiting(held, "k", 2, now) for _ in range(3)] == [0, 0, 1]
    await held.succeeded("k", forgive=True)
    assert await waiting(held, "k", 2, now) == 0


@pytest.mark.integration
async def test_waiting_is_told_by_no_name_and_swept(held, postgres_url):
    now = 1_770_000_000_000
    for name in ("name:a password?", "name:b"):
        await held.begin(name, 2, now)
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        keys = [bytes(row[0]) for row in conn.execute("SELECT key_digest FROM sign_in_attempts")]
        assert [len(key) for key in keys] == [32, 32]
        assert hashlib.sha256(b"name:a password?").digest() not in keys
        await held.begin("name:c", 2, now + 15 * 60_000 + 1)
        assert conn.execute("SELECT count(*) FROM sign_in_attempts").fetchone() == (1,)


def test_an_address_of_ipv6_is_its_network():
    assert throttle.network("2001:db8:1:2:3::4") == throttle.network("2001:db8:1:2:ffff::1")
    assert throttle.network("2001:db8:1:3::") != throttle.network("2001:db8:1:2::")
    assert throttle.network("192.0.2.1") == "192.0.2.1"
    assert throttle.network("unix:") == "unix:"


@pytest.mark.parametrize("password", ["", "x" * 11, "a" * 20, "abababababababab", "secret of kim's", "y" * 257])
def test_weak_passwords_are_refused_and_not_quoted(password):
    with pytest.raises(InvalidInputError) as caught:
        passwords.accepted(password, "kim")
    assert not password or password not in str(caught.value)


def test_passwords_cost_what_they_should():
    """Of RFC 9106's second recommended option: 64 MiB, three passes, four lanes."""
    assert passwords._hasher.hash("x").startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_a_password_is_the_same_however_it_is_composed():
    assert passwords.accepted("pass\u0065\u0301 horse battery", "kim") == "pass\u00e9 horse battery"


def test_secrets_differ_and_their_traces_do_not_tell_them():
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    for secret in made:
        assert len(secret) >= 43
        assert secret not in digest(secret) + csrf_of(secret)
        assert digest(secret) != csrf_of(secret)


def test_the_vault_has_one_key_that_only_its_owner_reads(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        sealed = list(pool.map(lambda i: Vault(tmp_path).seal(f"secret {i}"), range(16)))
    assert [Vault(tmp_path).open(one) for one in sealed] == [f"secret {i}" for i in range(16)]
    key = tmp_path / "keys" / "desk.key"
    assert [path.name for path in key.parent.iterdir()] == ["desk.key"]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    key.chmod(0o640)
    with pytest.raises(StoreUnavailableError, match="can be read by others"):
        Vault(tmp_path).open(sealed[0])
    key.chmod(0o600)
    key.write_bytes(b"damaged")
    with pytest.raises(StoreUnavailableError, match="holds no key"):
        Vault(tmp_path).open(sealed[0])
    key.unlink()
    with pytest.raises(StoreUnavailableError, match="is not the key"):
        Vault(tmp_path).open(sealed[0])
