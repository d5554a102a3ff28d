"""The parts of sign-in that need no server."""

import stat
from concurrent.futures import ThreadPoolExecutor

import pyotp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.api.auth import passwords, throttle, totp
from apps.api.auth.errors import TooManyAttemptsError
from apps.api.auth.sessions import csrf_of, digest, new_secret
from apps.api.auth.vault import Vault
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


def test_waiting_grows_is_bounded_and_ends():
    held, now, waits = throttle.Throttle(free=3), 0.0, []
    for _ in range(20):
        held.begin("k", now)
        waits.append(held.wait_ms("k", now))
        now += waits[-1]
    assert waits[:2] == [0, 0]
    assert waits[2:6] == [1_000, 2_000, 4_000, 8_000]
    assert waits[-1] == throttle.DELAY_MAX_MS
    with pytest.raises(TooManyAttemptsError) as caught:
        held.begin("k", now - 1_500)
    assert caught.value.headers == {"Retry-After": "2"}
    assert held.wait_ms("other", now) == 0
    held.begin("k", now + throttle.QUIET_MS + 1)  # forgotten
    assert held.wait_ms("k", now + throttle.QUIET_MS + 1) == 0


def test_what_was_right_does_not_count():
    held = throttle.Throttle(free=2)
    for _ in range(50):
        held.begin("k", 0)
        held.succeeded("k", forgive=False)
    held.begin("k", 0)
    held.begin("k", 0)
    with pytest.raises(TooManyAttemptsError):
        held.begin("k", 0)
    held.succeeded("k", forgive=True)
    held.begin("k", 0)


@settings(max_examples=20)
@given(st.lists(st.text(min_size=1, max_size=5), max_size=50))
def test_waiting_takes_bounded_room(keys):
    held = throttle.Throttle(free=1)
    throttle._KEYS_MAX, kept = 8, throttle._KEYS_MAX
    try:
        for now, key in enumerate(keys):
            held._tallies.pop(key, None)
            held.begin(key, float(now))
        assert len(held._tallies) <= 8
    finally:
        throttle._KEYS_MAX = kept


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
