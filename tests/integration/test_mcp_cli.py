"""`signoff mcp`, and what doctor and run say of servers: a person sees what changes before it counts."""

import io
import json
import os
import subprocess
import sys

import pytest

from agents import workspace
from bots.cli import Exit, main
from tests.integration.mcp_kit import FAKES

pytestmark = pytest.mark.usefixtures("unlogged")

GOOD = (sys.executable, str(FAKES / "mcp_server.py"), "stdio")


def bad(way, *more):
    return (sys.executable, str(FAKES / "mcp_hostile.py"), way, *map(str, more))


@pytest.fixture
def place(tmp_path, monkeypatch):
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    workspace.init(tmp_path / "ws", "three")
    monkeypatch.chdir(tmp_path / "ws")
    return tmp_path / "ws"


def allow(place, tools="docs__*"):
    path = place / "agents" / "team.yaml"
    text = path.read_text()
    at = text.index("allow: [", text.index("id: developer")) + len("allow: [")
    path.write_text(f"{text[:at]}{tools}, {text[at:]}")


def entry(place, command, name="docs"):
    (place / ".mcp.json").write_text(json.dumps({"mcpServers": {name: {"command": command[0], "args": command[1:]}}}))


def run(capsys, *words, typed="", monkeypatch=None):
    if monkeypatch is not None:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    code = main(["mcp", *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_server_is_added_once_a_person_has_seen_it(place, capsys, monkeypatch):
    code, out, _ = run(capsys, "add", "docs", "--env", "KEY", "--", *GOOD, typed="n\n", monkeypatch=monkeypatch)
    assert (code, "nothing was changed" in out) == (Exit.REFUSED, False) or "KEY" in _
    monkeypatch.setenv("KEY", "k-123456")
    code, out, _ = run(capsys, "add", "docs", "--env", "KEY", "--", *GOOD, typed="n\n", monkeypatch=monkeypatch)
    assert code == Exit.REFUSED
    assert "+echo (" in out
    assert "nothing was changed" in out
    assert not (place / ".mcp.json").exists()
    code, out, _ = run(capsys, "add", "docs", "--env", "KEY", "--", *GOOD, typed="y\n", monkeypatch=monkeypatch)
    assert code == 0
    assert "added to .mcp.json and pinned; docs: 7 tools, 7 allowed" in out
    written = json.loads((place / ".mcp.json").read_text())
    assert written["mcpServers"]["docs"] == {"command": GOOD[0], "args": list(GOOD[1:]), "env": {"KEY": "${KEY}"}}
    assert (place / ".signoff" / "mcp" / "docs.json").stat().st_mode & 0o777 == 0o600
    code, _, err = run(capsys, "add", "docs", "--", *GOOD)
    assert "there is a server docs already" in err


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("add", "docs"), "a server has a command or a URL"),
        (("add", "docs", "--url", "http://h/", "--", "x"), "a server has a command or a URL"),
        (("add", "docs", "--wat", "--", "x"), "--wat is not understood"),
        (("add", "My_Docs_", "--", "x"), "cannot be a server's name"),
        (("show", "docs"), "there is no server docs: known are: none"),
    ],
)
def test_what_is_typed_wrong_is_one_line(place, capsys, words, what):
    code, _, err = run(capsys, *words)
    assert code in {Exit.USAGE, Exit.REFUSED}
    assert what in err
    assert err.count("\n") == 1


def test_a_list_says_how_each_stands(place, capsys):
    assert "none: name one in .mcp.json" in run(capsys, "list")[1]
    servers = {"docs": {"command": "x", "env": {"K": "${NOT_SET}"}}, "far": {"url": "https://h.example/mcp?k=secret"}}
    (place / ".mcp.json").write_text(json.dumps({"mcpServers": servers}))
    allow(place)
    out = run(capsys, "list")[1]
    assert "docs: x\n  not pinned; external, once; from .mcp.json\n  not set: NOT_SET\n" in out
    assert "far: https://h.example/mcp\n" in out
    assert "no role may use it: name far__* or one of its tools" in out
    assert "secret" not in out


def test_a_change_is_shown_and_accepted(place, capsys, monkeypatch, tmp_path):
    words = tmp_path / "words"
    words.write_text("Reads a page.")
    entry(place, bad("changes", words))
    assert "docs is not pinned yet" in run(capsys, "show", "docs")[2]
    assert run(capsys, "trust", "docs", "--yes")[0] == 0
    assert "docs: 2 tools, 2 allowed; as pinned" in run(capsys, "trust", "docs")[1]
    words.write_text("Reads a page, and mails it to somebody.")
    code, out, _ = run(capsys, "trust", "docs", typed="\n", monkeypatch=monkeypatch)
    assert code == Exit.REFUSED
    assert "-  | Reads a page." in out
    assert "+  | Reads a page, and mails it to somebody." in out
    shown = run(capsys, "show", "docs")[1]
    assert "docs__good: external, once" in shown
    assert "mails" not in shown
    assert run(capsys, "trust", "docs", typed="yes\n", monkeypatch=monkeypatch)[0] == 0
    assert "mails" in run(capsys, "show", "docs")[1]


@pytest.mark.timeout(60)
def test_doctor_connects_and_compares(place, capsys, monkeypatch, tmp_path):
    words = tmp_path / "words"
    words.write_text("One.")
    entry(place, bad("changes", words))
    allow(place)

    def doctor():
        main(["doctor"])
        return next(line for line in capsys.readouterr().out.splitlines() if "mcp docs" in line)

    assert doctor().startswith("ok  mcp docs: 2 tools, 2 allowed; not pinned yet")
    run(capsys, "trust", "docs", "--yes")
    assert doctor() == "ok  mcp docs: 2 tools, 2 allowed; as pinned"
    words.write_text("Two.")
    assert doctor().startswith("--  mcp docs: it does not offer what was pinned")
    entry(place, bad("leaves"))
    assert doctor() == "--  mcp docs: it ended with exit code 7: no such license"
    monkeypatch.setattr("bots.commands.doctor.SERVER_SECONDS_MAX", 0.01)
    assert "it does not answer" in doctor()


def test_options_may_stand_after_the_name_and_the_file_keeps_its_own(place, capsys):
    (place / ".mcp.json").write_text('{"mcpServers": {"old": {"command": "x"}}, "theirs": 1}')
    assert run(capsys, "add", "docs", "--env", "HOME", "--yes", "--", *GOOD)[0] == 0
    written = json.loads((place / ".mcp.json").read_text())
    assert (list(written["mcpServers"]), written["theirs"]) == (["old", "docs"], 1)
    assert "there is a server docs already" in run(capsys, "add", "docs", "x")[2]
    assert "it cannot be reached" in run(capsys, "add", "far", "--url", "http://127.0.0.1:9/mcp")[2]


def test_too_much_to_read_is_said(place, capsys, monkeypatch):
    monkeypatch.setattr("bots.commands.mcp.DIFF_LINES_MAX", 5)
    entry(place, GOOD)
    assert "lines more: it is too much to have been read" in run(capsys, "trust", "docs", "--yes")[1]


def test_a_login_is_for_servers_with_a_url(place, capsys):
    entry(place, GOOD)
    assert "docs is a program on this machine" in run(capsys, "login", "docs")[2]
    (place / ".mcp.json").write_text(json.dumps({"mcpServers": {"docs": {"url": "http://127.0.0.1:9/mcp"}}}))
    assert "docs: it cannot be reached: nothing was changed" in run(capsys, "login", "docs")[2]
    assert "docs: it cannot be reached" in run(capsys, "trust", "docs")[2]


def test_without_the_library_one_line_says_what_to_install(place, capsys, monkeypatch):
    entry(place, GOOD)
    monkeypatch.setattr("agents.tools.mcp.hub.is_installed", lambda: False)
    assert "pip install 'signoff[mcp]'" in run(capsys, "trust", "docs")[2]


@pytest.mark.timeout(90)
def test_run_pins_what_it_meets_first_and_says_so(place):
    entry(place, GOOD)
    allow(place)
    environment = {**os.environ, "ANTHROPIC_API_KEY": "", "OPENAI_API_KEY": ""}
    signoff = subprocess.Popen(
        [sys.executable, "-m", "bots", "run"],
        cwd=place,
        env={**environment, "PYTHONPATH": str(FAKES.parents[1])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = signoff.stderr.readline()
        assert line == "signoff: docs: 7 tools, 7 allowed; pinned as they are now (`signoff mcp show docs`)\n"
        assert "developer" in signoff.stderr.readline()  # it is in force, without a restart
    finally:
        signoff.stdin.close()
        signoff.wait(10)
        signoff.stdout.close()
        signoff.stderr.close()


def test_nothing_of_the_library_is_loaded_where_no_server_is_named(place):
    code = "import sys; from bots.cli import main; main(['check']); print(sys.modules.keys() & {'mcp', 'httpx2'})"
    environment = {**os.environ, "PYTHONPATH": str(FAKES.parents[1])}
    done = subprocess.run([sys.executable, "-c", code], cwd=place, env=environment, capture_output=True, text=True)
    assert done.stdout.endswith("set()\n")
