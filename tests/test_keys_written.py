"""The search of what the suite wrote finds what is there to be found."""

from tests.keys_written import SECRETS, files_below, found_in


def test_a_secret_is_found_wherever_it_stands(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "quiet.log").write_bytes(b"nothing here")
    for number, secret in enumerate(SECRETS):
        kept = tmp_path / "deep" / "er" / f"{number}.bin"
        kept.write_bytes(b"\x00\xff" + secret + b"\x00")
        assert found_in(files_below([tmp_path])) == (2, [kept])
        kept.unlink()  # for the search of the whole suite that comes after this
