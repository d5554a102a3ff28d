""".env.example names every setting, and only settings, with their defaults."""

import re
from pathlib import Path

from packages.common.config import Settings, load_settings

EXAMPLE = Path(__file__).resolve().parents[3] / ".env.example"
LINE = re.compile(r"^(#?)([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)


def test_every_setting_is_described_once_and_nothing_else():
    names = [name for _, name, _ in LINE.findall(EXAMPLE.read_text())]
    assert sorted(names) == sorted(name.upper() for name in Settings.model_fields)


def test_what_is_not_commented_out_is_the_default(tmp_path, monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    given = load_settings(str(EXAMPLE)).model_dump()
    defaults = load_settings(None).model_dump()
    assert given == defaults


def test_what_is_commented_out_would_be_accepted(tmp_path, monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    file = tmp_path / "env"
    file.write_text("".join(f"{name}={value}\n" for _, name, value in LINE.findall(EXAMPLE.read_text())))
    settings = load_settings(str(file))
    assert settings.store_url == "s3://bucket/perpilot"
    assert settings.speed == 60


def test_each_setting_has_words_before_it():
    for block in EXAMPLE.read_text().split("\n\n"):
        lines = block.splitlines()
        assert any(line.startswith(("# ", "# ---")) for line in lines[:2]), block
