import base64
import copy
import hashlib
import hmac
import os
import pickle
import traceback
from urllib.parse import unquote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from packages.common.errors import InvalidInputError
from packages.exchange.binance.signing import Credentials, load_credentials

KEY, SECRET = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A", "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3U"
ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PEM = ED25519.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PAYLOAD = "symbol=%E5%B8%81USDT&quantity=1&timestamp=1499827319559"


def write(path, mode=0o600, text=f'key = "{KEY}"\nsecret = "{SECRET}"\n'):
    path.write_text(text)
    path.chmod(mode)
    return {"EXCHANGE_KEY_FILE": str(path)}


def test_hmac_signs_the_bytes_that_are_sent():
    expected = hmac.new(SECRET.encode(), PAYLOAD.encode(), hashlib.sha256).hexdigest()
    assert Credentials(KEY, SECRET).sign(PAYLOAD) == expected


def test_the_documented_example_of_the_exchange():
    # POST /fapi/v1/order of the general information page
    secret = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
    payload = (
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000"
        "&timestamp=1591702613943"
    )
    expected = "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"
    assert Credentials(KEY, secret).sign(payload) == expected


@pytest.mark.parametrize("pem", [PEM, PEM.replace("\n", "\\n")])
def test_ed25519_signs_too_and_is_encoded_for_a_query(pem):
    signature = Credentials(KEY, pem).sign(PAYLOAD)
    assert not set(signature) & set("+/=")
    ED25519.public_key().verify(base64.b64decode(unquote(signature)), PAYLOAD.encode())  # raises if it is wrong


def test_a_key_comes_from_the_environment_or_from_a_file(tmp_path):
    assert load_credentials({}) is None
    both = {"EXCHANGE_API_KEY": KEY, "EXCHANGE_API_SECRET": SECRET}
    from_file = load_credentials(write(tmp_path / "key"))
    assert from_file.key == load_credentials(both).key == KEY
    assert from_file.sign(PAYLOAD) == load_credentials(both).sign(PAYLOAD)
    pem = load_credentials(write(tmp_path / "pem", text=f'key = "{KEY}"\nsecret = """\n{PEM}"""\n'))
    assert pem.sign(PAYLOAD) == Credentials(KEY, PEM).sign(PAYLOAD)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o700, 0o666, 0o601])
def test_a_file_that_others_may_read_is_refused(tmp_path, mode):
    with pytest.raises(InvalidInputError, match="0600"):
        load_credentials(write(tmp_path / "key", mode))


def test_links_folders_pipes_and_absent_files_are_refused(tmp_path):
    write(tmp_path / "key")
    (tmp_path / "link").symlink_to(tmp_path / "key")
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("link", "pipe", "absent", "."):
        with pytest.raises(InvalidInputError) as refused:
            load_credentials({"EXCHANGE_KEY_FILE": str(tmp_path / name)})
        assert refused.value.field == "EXCHANGE_KEY_FILE"


@pytest.mark.parametrize(
    "environment",
    [
        {"EXCHANGE_API_KEY": KEY},
        {"EXCHANGE_API_SECRET": SECRET},
        {"EXCHANGE_API_KEY": KEY + " ", "EXCHANGE_API_SECRET": SECRET},
        {"EXCHANGE_API_KEY": KEY, "EXCHANGE_API_SECRET": "  "},
        {"EXCHANGE_API_KEY": KEY, "EXCHANGE_API_SECRET": f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END"},
        {"EXCHANGE_API_KEY": KEY, "EXCHANGE_API_SECRET": SECRET, "EXCHANGE_KEY_FILE": "/nowhere"},
    ],
)
def test_half_a_key_or_a_broken_one_is_refused_without_being_quoted(environment):
    with pytest.raises(InvalidInputError) as refused:
        load_credentials(environment)
    shown = "".join(traceback.format_exception(refused.value)) + repr(refused.value.value)
    assert KEY not in shown
    assert SECRET not in shown


@pytest.mark.parametrize("text", [f'key = "{KEY}"', f'key = "{KEY}\nsecret = "{SECRET}"', f"{KEY}\n{SECRET}", "\xff"])
def test_a_broken_file_is_refused_without_being_quoted(tmp_path, text):
    with pytest.raises(InvalidInputError) as refused:
        load_credentials(write(tmp_path / "key", text=text))
    shown = "".join(traceback.format_exception(refused.value))
    assert KEY not in shown
    assert SECRET not in shown


@pytest.mark.parametrize("secret", [SECRET, PEM])
def test_a_key_cannot_be_printed_copied_or_pickled(secret):
    credentials = Credentials(KEY, secret)
    for shown in (repr(credentials), str(credentials), f"{credentials}", repr([credentials])):
        assert KEY not in shown
        assert secret not in shown
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            copied(credentials)
    assert credentials.redact(f"echo {KEY}".encode()) == b"echo <hidden>"
