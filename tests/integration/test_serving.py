"""`signoff run` with chat platforms: it serves until a signal, says how each of them is, and gives out a code to pair
with. Stubs stand for the platforms; the program is a real process.
"""

import json
import queue
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import pexpect
import pytest

from bots import app, platforms
from core.adapters.system import SystemClock, SystemIds
from core.rules.commands import MENU
from tests.integration.stub_platforms import GOOD, modules
from tests.integration.test_cli import OFFLINE, ROOT, environment, here, ok

CODE = r"[A-Z2-7]{4}-[A-Z2-7]{4}"
TELEGRAM = {"TELEGRAM_BOT_TOKEN": GOOD["TELEGRAM_BOT_TOKEN"]}
DISCORD = {"DISCORD_BOT_TOKEN": GOOD["DISCORD_BOT_TOKEN"]}
SLACK = {name: value for name, value in GOOD.items() if name.startswith("SLACK")}


@pytest.fixture
def workspace(tmp_path):
    ok(tmp_path, "init", "ws")
    return tmp_path / "ws"


class Served:
    """The process, and the lines of both its outputs as they come."""

    def __init__(self, process):
        self.process, self.lines, self._came = process, [], queue.Queue()
        self._readers = [threading.Thread(target=self._read, args=(pipe,)) for pipe in (process.stdout, process.stderr)]
        for reader in self._readers:
            reader.start()

    def _read(self, pipe):
        with pipe:
            for line in pipe:
                self._came.put(line.rstrip("\n"))

    def until(self, pattern, seconds=10):
        while True:
            if found := next((m for line in self.lines if (m := re.search(pattern, line))), None):
                return found
            try:
                self.lines.append(self._came.get(timeout=seconds))
            except queue.Empty:
                raise AssertionError((pattern, self.lines)) from None

    def leave(self, by=signal.SIGTERM):
        self.process.send_signal(by)
        code = self.process.wait(10)
        for reader in self._readers:
            reader.join()
        while not self._came.empty():
            self.lines.append(self._came.get())
        return code


@contextmanager
def serving(where, **more):
    """Started as a service manager does: without any input."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.stub_platforms", "run"],
        cwd=where,
        env=environment(PYTHONPATH=str(ROOT), **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    served = Served(process)
    try:
        yield served
    finally:
        if process.poll() is None:
            served.leave(signal.SIGKILL)


def test_it_serves_without_input_until_a_signal(workspace):
    with serving(workspace, **TELEGRAM, **SLACK) as served:
        served.until("^Serving Telegram, Slack; ")
        served.until("^Telegram: connected.$")
        served.until("^Slack: connected.$")
        served.until(f"^To pair Telegram: send /pair {CODE} to the bot within an hour.$")
        served.until(f"^To pair Slack: send /signoff pair {CODE} to the bot within an hour.$")
        assert served.process.poll() is None
        assert served.leave() == 0
    assert len(served.lines) == len(set(served.lines)) == 6  # these, and that it is offline
    assert not [line for line in served.lines if "secret" in line]


def test_ctrl_c_ends_it_too(workspace):
    with serving(workspace, **TELEGRAM) as served:
        served.until("connected")
        assert served.leave(signal.SIGINT) == 130


def test_tokens_may_be_in_the_env_file(workspace):
    (workspace / ".env").write_text("".join(f"{name}={value}\n" for name, value in DISCORD.items()))
    with serving(workspace) as served:
        served.until("^Discord: connected.$")


def test_who_is_linked_needs_no_code(workspace):
    manifest = workspace / "agents" / "team.yaml"
    one = "{id: you, name: You, role: owner"
    manifest.write_text(manifest.read_text().replace(one, f'{one}, accounts: ["telegram:1111"]'))
    with serving(workspace, **TELEGRAM, **DISCORD) as served:
        served.until("^To pair Discord")
        served.leave()
    assert not [line for line in served.lines if "pair Telegram" in line]


def test_a_refused_token_is_one_line_and_the_others_go_on(workspace):
    with serving(workspace, **TELEGRAM, **DISCORD, STUB_TELEGRAM="refused") as served:
        served.until("^signoff: Telegram: the token <TELEGRAM_BOT_TOKEN> is refused: mend it in .env$")
        served.until("^Discord: connected.$")
        assert served.process.poll() is None
        assert served.leave() == 0
    assert not [line for line in served.lines if "pair Telegram" in line or "Traceback" in line]


def test_what_cannot_be_used_is_one_line_and_the_others_go_on(workspace):
    with serving(workspace, **DISCORD, SLACK_BOT_TOKEN="xoxb-1") as served:
        served.until("^signoff: Slack: SLACK_APP_TOKEN or SLACK_SIGNING_SECRET is not set: signoff setup slack$")
        served.until("^Serving Discord; ")
        served.until("^Discord: connected.$")
    with serving(workspace, **TELEGRAM, **DISCORD, STUB_TELEGRAM="misconfigured") as served:
        served.until("^signoff: telegram: a port is no <TELEGRAM_BOT_TOKEN>$")
        served.until("^Discord: connected.$")


def test_with_none_that_can_be_used_there_is_nothing_to_serve(workspace):
    with serving(workspace, SLACK_BOT_TOKEN="xoxb-1") as served:
        served.until("SLACK_APP_TOKEN")
        assert served.process.wait(10) == 5


def test_a_connection_that_comes_back_is_said(workspace):
    with serving(workspace, **TELEGRAM, STUB_TELEGRAM="shaky") as served:
        served.until("^Telegram: connected.$")
        served.until("^signoff: Telegram: the connection was lost$")
        served.until("^Telegram: connected again.$")
        served.leave()
    assert len([line for line in served.lines if "To pair" in line]) == 1


def test_at_a_terminal_the_terminal_is_a_platform_too(workspace):
    words = ["-m", "tests.integration.stub_platforms", "run"]
    env = environment(PYTHONPATH=str(ROOT), TERM="dumb", **TELEGRAM)
    terminal = pexpect.spawn(sys.executable, words, cwd=str(workspace), env=env, timeout=10, encoding="utf-8")
    terminal.expect("type what you want done")
    terminal.expect(CODE)
    terminal.sendline("/whoami")
    terminal.expect("You, owner")
    terminal.sendline("/quit")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def test_a_terminal_is_told_that_nobody_will_answer_it(workspace):
    sessions = (
        ("", "I will file a lawsuit", "types /handback"),
        ("This conversation is with a person: it is about lawsuit.", "/handback", "I am back"),
    )
    env = environment(PYTHONPATH=str(ROOT), TERM="dumb")
    for first, typed, said in sessions:
        words = ["-m", "bots", "run"]
        terminal = pexpect.spawn(sys.executable, words, cwd=str(workspace), env=env, timeout=10, encoding="utf-8")
        terminal.expect(first)
        terminal.expect("type what you want done")
        terminal.sendline(typed)
        terminal.expect(said)
        terminal.sendline("/quit")
        terminal.expect(pexpect.EOF)
        terminal.close()


def test_without_a_platform_a_piped_line_is_work_as_ever(workspace):
    done = here(workspace, "run", typed="hello\n")
    assert done.returncode == 0
    assert done.stdout.startswith(OFFLINE)
    assert "Serving" not in done.stdout


# --- The table ------------------------------------------------------------------------------------------------------


def test_only_what_is_set_up_is_chosen():
    assert platforms.chosen({}) == ()
    assert platforms.chosen({"TELEGRAM_BOT_TOKEN": ""}) == ()
    assert [known.name for known in platforms.chosen(GOOD)] == ["telegram", "discord", "slack"]
    assert [known.name for known in platforms.chosen({"SLACK_SIGNING_SECRET": "x"})] == ["slack"]


def test_what_a_person_is_told_to_send_is_in_every_menu():
    menu = {name for name, *_ in MENU}
    assert {known.pair.rpartition(" ")[2].removeprefix("/") for known in platforms.KNOWN} == {"pair"}
    assert {"pair", "link"} <= menu


def build(settings):
    return platforms.build(settings, clock=SystemClock(), ids=SystemIds(), zone="UTC", shelf=None)


def test_a_library_that_is_missing_is_one_line(monkeypatch):
    for name, module in modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(platforms, "find_spec", lambda name: None if name == "discord" else object())
    built, lines = build(GOOD)
    assert sorted(built) == ["slack", "telegram"]
    remedy = f'{sys.executable} -m pip install "signoff[discord]"'
    assert lines == (f"Discord: its library is not installed (discord): {remedy}",)


def test_a_library_that_cannot_be_loaded_is_one_line_and_a_bug_of_ours_is_none(monkeypatch):
    def broken(name):
        raise ImportError("no libfoo.so", name=name)

    monkeypatch.setattr(platforms.importlib, "import_module", lambda _: broken("discord.voice"))
    assert build(DISCORD) == (
        {},
        (f"Discord: its library cannot be loaded (no libfoo.so): {platforms.named('discord').install}",),
    )
    monkeypatch.setattr(platforms.importlib, "import_module", lambda _: broken("bots.discord.wire"))
    with pytest.raises(ImportError):
        build(DISCORD)


def test_nothing_of_a_platform_is_loaded_before_it_is_set_up(workspace):
    program = (
        "import sys, json; from bots import cli; cli.main(['run']); print(); "
        "print(json.dumps([name for name in sys.modules if name.startswith('bots.')]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=workspace,
        env=environment(PYTHONPATH=str(ROOT)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert "bots.platforms" in loaded
    assert not [name for name in loaded if name.split(".")[1] in {"telegram", "discord", "slack"}]


def test_the_house_gives_files_to_who_may_have_them(workspace):
    import asyncio

    async def look():
        async with await app.House.open(app.Workspace(workspace), {}) as house:
            (workspace / "files" / "shared" / "a.md").write_text("x")
            assert house.chats() == ({}, ())
            return house.shelf.read("shared/a.md")

    assert asyncio.run(look()) == ("a.md", b"x")
