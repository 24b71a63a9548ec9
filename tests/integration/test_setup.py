"""Bringing the team to a platform: setup, what doctor finds there, people's accounts. With stubs for the platforms."""

import asyncio
import os
import re
import sqlite3
import sys
import time
from contextlib import closing
from urllib.parse import parse_qs, urlsplit

import msgspec
import pexpect
import pytest

from bots import platforms
from bots.app import Workspace, read_environment, write_environment
from bots.commands import doctor, setup
from bots.platforms import KNOWN
from core.adapters.sqlite.store import SqliteStore
from core.adapters.system import SystemClock
from core.model.errors import TerminalError
from core.model.team import AccountLink
from core.model.unit import LinkAccount, SetMeta, Unit
from core.ports import Health
from tests.fakes import discord, slack, telegram
from tests.integration.stub_platforms import GOOD, modules
from tests.integration.test_cli import ROOT, environment, here, ok, refused

CODE = re.compile(r"\b[A-Z2-7]{4}-[A-Z2-7]{4}\b")
TYPED = {known.name: "".join(f"{GOOD[name]}\n" for name in known.asks) for known in KNOWN}


@pytest.fixture(autouse=True)
def stubs(monkeypatch):
    for name, module in modules().items():
        monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def workspace(tmp_path):
    ok(tmp_path, "init", "ws")
    return tmp_path / "ws"


def env_of(where):
    return read_environment(Workspace(where), {})


# --- Setup ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_a_platform_is_set_up_from_what_is_typed(workspace, known):
    done = here(workspace, "setup", known.name, typed=TYPED[known.name])
    assert (done.returncode, done.stderr) == (0, "")
    assert "ok  the token is good" in done.stdout
    assert f"send {known.pair} with the code" in done.stdout
    assert "signoff run" in done.stdout
    assert env_of(workspace) == {name: GOOD[name] for name in known.asks}
    assert (workspace / ".env").stat().st_mode & 0o777 == 0o600
    assert not [value for value in GOOD.values() if value in done.stdout]
    checked = here(workspace, "setup", known.name, "--check")
    assert (checked.returncode, checked.stdout) == (0, "ok  the token is good\n")


def test_the_steps_say_what_a_person_has_to_do(workspace):
    said = {known.name: here(workspace, "setup", known.name).stdout for known in KNOWN}
    assert "@BotFather" in said["telegram"]
    assert "/setprivacy" in said["telegram"]
    assert "Message Content" in said["discord"]
    assert str(setup.MANIFEST) in said["slack"]
    assert setup.MANIFEST.read_text().strip() in said["slack"]
    for text in said.values():
        shown = [line for line in text.splitlines() if not line.startswith((" ", "{", "}"))]
        assert max(map(len, shown)) <= 80


def test_the_invitation_asks_for_what_is_used_and_no_more(workspace):
    said = here(workspace, "setup", "discord", typed=TYPED["discord"]).stdout
    (link,) = re.findall(r"https://discord.com/oauth2/authorize\?\S+", said)
    asked = parse_qs(urlsplit(link).query)
    assert asked == {
        "client_id": ["123456789012345678"],
        "scope": ["bot applications.commands"],
        "permissions": [str(sum(1 << bit for bit in (10, 11, 14, 15, 16, 35, 38)))],
    }
    odd = here(workspace, "setup", "discord", typed="good-but-odd\n").stdout
    assert "client_id=APPLICATION_ID&" in odd
    assert "with the Application ID" in odd


def test_other_lines_of_the_file_stay(workspace):
    env = workspace / ".env"
    env.write_text("# mine\nexport TELEGRAM_BOT_TOKEN = old\n\nOPENAI_API_KEY='k'\nTELEGRAM_BOT_TOKEN=older\n# end\n")
    env.chmod(0o644)
    ok(workspace, "setup", "telegram", typed=TYPED["telegram"])
    assert (
        env.read_text()
        == f"# mine\nexport TELEGRAM_BOT_TOKEN ={GOOD['TELEGRAM_BOT_TOKEN']}\n\nOPENAI_API_KEY='k'\n# end\n"
    )
    assert env.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in workspace.glob(".env*")) == [".env"]


def test_enter_keeps_what_is_there(workspace):
    ok(workspace, "setup", "slack", typed=TYPED["slack"])
    before = (workspace / ".env").read_bytes()
    assert "Enter: keep" in ok(workspace, "setup", "slack", typed="\n\n")
    assert (workspace / ".env").read_bytes() == before


def test_a_token_that_is_refused_replaces_nothing(workspace):
    ok(workspace, "setup", "telegram", typed=TYPED["telegram"])
    before = (workspace / ".env").read_bytes()
    wrong = here(workspace, "setup", "telegram", typed="654321:wrong-secret\n")
    refused(wrong, 1, "nothing was changed")
    assert "--  TELEGRAM_BOT_TOKEN is refused: copy it again" in wrong.stdout
    assert "wrong-secret" not in wrong.stdout + wrong.stderr
    assert (workspace / ".env").read_bytes() == before


@pytest.mark.parametrize(
    ("platform", "typed", "said"),
    [
        ("telegram", "", "no TELEGRAM_BOT_TOKEN was given"),
        ("slack", "xapp-good\n", "a SLACK_BOT_TOKEN begins with xoxb-"),
        ("slack", "xoxb-good\nxoxb-good\n", "a SLACK_APP_TOKEN begins with xapp-"),
        ("telegram", "123:good\x1b[2J\n", "no value for TELEGRAM_BOT_TOKEN"),
        ("telegram", '"123:good"\n', "no value for TELEGRAM_BOT_TOKEN"),
    ],
)
def test_what_cannot_be_a_token_is_said_at_once(workspace, platform, typed, said):
    before = (workspace / ".env").read_bytes()
    refused(here(workspace, "setup", platform, typed=typed), 1, said)
    assert (workspace / ".env").read_bytes() == before


def test_what_is_missing_is_said_and_the_token_kept(workspace):
    half = here(workspace, "setup", "discord", typed=TYPED["discord"], STUB_DISCORD="half")
    assert half.returncode == 1
    assert "--  an intent is missing: switch it on" in half.stdout
    assert "signoff setup discord --check" in half.stdout
    assert "DISCORD_BOT_TOKEN" in env_of(workspace)
    assert here(workspace, "setup", "discord", "--check", STUB_DISCORD="half").returncode == 1


def test_a_token_in_the_environment_hides_the_file(workspace):
    hidden = here(workspace, "setup", "telegram", typed="777777:good\n", TELEGRAM_BOT_TOKEN="666666:good")
    assert hidden.returncode == 1
    assert "the environment has another TELEGRAM_BOT_TOKEN" in hidden.stdout


def test_check_says_what_is_not_set(workspace):
    refused(here(workspace, "setup", "slack", "--check"), 5, "Slack: SLACK_BOT_TOKEN is not set: signoff setup slack")
    half = here(workspace, "setup", "slack", "--check", SLACK_BOT_TOKEN="xoxb-good")
    refused(half, 5, "SLACK_APP_TOKEN or SLACK_SIGNING_SECRET is not set")


def test_a_library_that_is_missing_is_named_before_anything_is_asked(workspace, monkeypatch):
    monkeypatch.setattr(platforms, "find_spec", lambda name: None)
    done = here(workspace, "setup", "telegram", typed=TYPED["telegram"])
    refused(done, 5, "Telegram: its library is not installed", 'pip install "signoff[telegram]"')
    assert done.stdout == ""


def test_a_token_is_not_shown_while_it_is_typed(workspace):
    words = ["-m", "tests.integration.stub_platforms", "setup", "telegram"]
    terminal = pexpect.spawn(
        sys.executable, words, cwd=str(workspace), env=environment(PYTHONPATH=str(ROOT)), timeout=10, encoding="utf-8"
    )
    terminal.logfile_read = seen = Seen()
    terminal.expect("TELEGRAM_BOT_TOKEN.*: ")
    terminal.sendline(GOOD["TELEGRAM_BOT_TOKEN"])
    terminal.expect("the code it prints")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert "good-and-secret" not in seen.text
    assert env_of(workspace)["TELEGRAM_BOT_TOKEN"] == GOOD["TELEGRAM_BOT_TOKEN"]


class Seen:
    text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_a_link_stays_a_link_and_a_failure_changes_nothing(tmp_path, monkeypatch):
    real = tmp_path / "kept" / "secrets"
    real.parent.mkdir()
    real.write_text("A=1\n")
    here_is = Workspace(tmp_path)
    here_is.env.symlink_to(real)
    write_environment(here_is, {"B": "2"})
    assert here_is.env.is_symlink()
    assert real.read_text() == "A=1\nB=2\n"

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            write_environment(here_is, {"B": "3"})
    assert real.read_text() == "A=1\nB=2\n"
    assert [path.name for path in real.parent.iterdir()] == ["secrets"]
    with pytest.raises(TerminalError):
        write_environment(here_is, {"B": "two\nlines"})


@pytest.mark.parametrize(
    ("service", "wrong"),
    [
        (telegram.Telegram, "1:wrong-and-secret\n"),
        (discord.DiscordService, "MTIz.wrong.and-secret\n"),
        (slack.SlackService, "xoxb-wrong-and-secret\nxapp-wrong-and-secret\n"),
    ],
    ids=["telegram", "discord", "slack"],
)
async def test_each_platform_is_asked_about_its_token(workspace, service, wrong):
    """The adapters' own checks, against the fakes."""
    fake = service()
    await fake.start()
    try:
        given = fake.environ()
        known = platforms.named(fake.name)
        urls = {name: value for name, value in given.items() if name.startswith("SIGNOFF")}
        right = "".join(f"{given[name]}\n" for name in known.asks)
        outputs = []
        for typed in (wrong, right):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bots", "setup", fake.name),
                cwd=workspace,
                env=environment(PYTHONPATH=str(ROOT), **urls),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await process.communicate(typed.encode())
            outputs.append((out + err).decode())
            assert ("nothing was changed" in outputs[-1]) is (typed is wrong), outputs[-1]
        assert env_of(workspace) == {name: given[name] for name in known.asks}
        assert not [value for value in (*wrong.split(), *env_of(workspace).values()) if value in "".join(outputs)]
    finally:
        await fake.stop()


# --- Doctor ---------------------------------------------------------------------------------------------------------


def health(where, name, **fields):
    """As the engine writes it down."""

    async def write():
        store = await SqliteStore.open(Workspace(where).database, SystemClock())
        value = msgspec.json.encode(Health(**fields)).decode()
        await store.commit(Unit(changes=(SetMeta(name=f"health:{name}", value=value),)))
        await store.close()

    asyncio.run(write())


def findings(where, name, **more):
    shown = here(where, "doctor", **more).stdout.splitlines()
    return [line for line in shown if f"  {name}: " in line]


def test_doctor_asks_every_platform_that_is_set_up(workspace):
    assert not findings(workspace, "telegram")
    assert findings(workspace, "telegram", **GOOD) == [
        "ok  telegram: its library is installed",
        "ok  telegram: the token is good",
    ]
    assert findings(workspace, "slack", SLACK_BOT_TOKEN="xoxb-good") == [
        "--  slack: SLACK_APP_TOKEN or SLACK_SIGNING_SECRET is not set: signoff setup slack"
    ]
    assert findings(workspace, "discord", DISCORD_BOT_TOKEN="wrong")[1:] == [
        "--  discord: DISCORD_BOT_TOKEN is refused: copy it again"
    ]


def test_what_goes_wrong_while_asking_is_a_finding_without_a_secret(workspace, monkeypatch):
    monkeypatch.setattr(platforms, "EXAMINE_SECONDS", 0.05)
    (_, slow) = findings(workspace, "telegram", STUB_TELEGRAM="slow", **GOOD)
    assert slow == "--  telegram: no answer within 0.05 s: is there a network?"
    (_, broken) = findings(workspace, "telegram", STUB_TELEGRAM="broken", **GOOD)
    assert broken.startswith("--  telegram: it could not be asked (ValueError: https://example.org/bot<TELEGRAM_BOT_T")
    assert "secret" not in broken


def test_doctor_tells_when_something_last_came(workspace):
    ok(workspace, "tasks")
    now_ms = SystemClock().now_ms()
    times = {"connected_at_ms": now_ms - 7_200_000, "heard_at_ms": now_ms - 61_000}
    health(workspace, "telegram", **times)
    last = findings(workspace, "telegram", **GOOD)[-1]
    assert re.fullmatch(
        r"ok  telegram: connected 2 h ago, last heard 1 m \d+ s ago, last sent never; it is not running now", last
    )
    assert findings(workspace, "discord", **GOOD)[-1] == "ok  discord: no traffic yet"


@pytest.mark.parametrize(
    ("kept", "up", "good", "said"),
    [
        ('{"connected_at_ms":1,"heard_at_ms":99999999}', True, True, "last heard under 1 s ago"),
        ('{"connected_at_ms":1,"heard_at_ms":99999999,"trouble":"deaf"}', True, False, "deaf"),
        ('{"connected_at_ms":1,"heard_at_ms":99999999,"trouble":"deaf"}', False, True, "not running now"),
        ('{"connected_at_ms":1,"heard_at_ms":90000000}', True, False, "should have been heard"),
        ("{", True, True, "no traffic yet"),
        (None, True, True, "no traffic yet"),
    ],
)
def test_health_is_judged_by_traffic(kept, up, good, said):
    found = doctor._health(kept, 100_000_000, up=up)
    assert found[0] is good
    assert said in found[1]


def test_doctor_survives_a_broken_env(workspace):
    (workspace / ".env").write_text("no setting\n")
    done = here(workspace, "doctor", **GOOD)
    assert done.returncode == 1
    assert "not a setting" in done.stdout


# --- People ---------------------------------------------------------------------------------------------------------


def test_people_and_their_accounts_are_listed(workspace):
    assert ok(workspace, "people") == "you  You  owner\n  no account: `signoff people link` gives a code for one\n"
    manifest = workspace / "agents" / "team.yaml"
    one = "{id: you, name: You, role: owner"
    manifest.write_text(manifest.read_text().replace(one, f'{one}, accounts: ["telegram:1111"]'))

    async def link():
        store = await SqliteStore.open(Workspace(workspace).database, SystemClock())
        made = [
            AccountLink(account=account, person=person, by="you", at_ms=time.time_ns() // 1_000_000)
            for account, person in (("slack:U1", "you"), ("slack:U2", "gone"))
        ]
        await store.commit(Unit(changes=tuple(LinkAccount(link=link) for link in made)))
        await store.close()

    asyncio.run(link())
    listed = ok(workspace, "people")
    assert "  telegram:1111  in team.yaml\n" in listed
    assert re.search(r"^  slack:U1  linked \d\d:\d\d, code by you$", listed, re.MULTILINE)
    assert re.search(r"^nobody  slack:U2 .* who is not in team.yaml any more \(gone\)$", listed, re.MULTILINE)

    refused(here(workspace, "people", "unlink", "telegram:1111"), 1, "in agents/team.yaml", "take it out there")
    refused(here(workspace, "people", "unlink", "slack:U9"), 1, "slack:U9 is nobody's")
    assert "slack:U1 is nobody's from now on" in ok(workspace, "people", "unlink", "slack:U1")
    assert "slack:U1" not in ok(workspace, "people")


def test_a_code_is_given_out_once_and_only_its_hash_is_kept(workspace):
    code = CODE.search(ok(workspace, "people", "link", "you"))[0]
    assert CODE.search(ok(workspace, "people", "link", "you"))[0] != code
    with closing(sqlite3.connect(Workspace(workspace).database)) as database:
        kept = "\n".join(str(row) for row in database.execute("SELECT * FROM meta"))
    assert "code:" in kept
    assert code not in kept
    assert code.replace("-", "") not in kept
    refused(here(workspace, "people", "link", "eve"), 1, "there is no person eve")


def test_only_owners_give_codes_for_others(workspace):
    manifest = workspace / "agents" / "team.yaml"
    one = "  - {id: you, name: You, role: owner}\n"
    manifest.write_text(manifest.read_text().replace(one, f"{one}  - {{id: bo, name: Bo, role: member}}\n"))
    assert CODE.search(ok(workspace, "people", "link", "bo", "--as", "bo"))
    assert CODE.search(ok(workspace, "people", "link", "bo", "--as", "you"))
    refused(here(workspace, "people", "link", "you", "--as", "bo"), 4, "Bo may not")
