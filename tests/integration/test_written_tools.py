"""Tools people wrote: read without running, run in a process of their own, found again after a crash."""

import asyncio
import re
from pathlib import Path

import msgspec
import pytest

from agents.team import check, load
from agents.tools import Equipment, registry
from agents.tools.commands import CommandResolver
from agents.tools.spool import Spool
from core.model.errors import TerminalError
from core.model.team import EffectClass, Reach, Tier
from core.ports import UnknownOutcomeError, Workplace
from core.rules.actions import act_of
from tests.place_kit import Place

WORDS = '''\
import os
import sys
import time
from pathlib import Path
from typing import Literal

Path(__file__).with_name("ran").open("a").write("x")


def word_count(path: str, lines: bool = False) -> str:
    """Count the words of a file of yours."""
    text = Path(path).read_text()
    return str(len(text.splitlines() if lines else text.split()))


def show(what: Literal["env", "cwd", "dict", "none", "long", "cut"]) -> object:
    """Show something."""
    print("noise")
    os.write(1, b"noise")
    if what == "env":
        return "\\n".join(f"{k}={v}" for k, v in os.environ.items())
    return {"cwd": os.getcwd(), "dict": {"ä": [1, True]}, "none": None, "long": "ä" * 20_000, "cut": "x\\x1b[2J"}[what]


def fail(how: str) -> str:
    """Fail."""
    if how == "exit":
        sys.exit("gone")
    if how == "hard":
        os._exit(7)
    if how == "memory":
        return "x" * (1 << 40)
    if how == "spin":
        while True:
            pass
    if how == "sleep":
        time.sleep(60)
    if how == "bomb":
        for _ in range(8):  # 256 at the very most: the machine is not ours alone
            os.fork()
            time.sleep(0.03)
        time.sleep(30)
    if how == "secret":
        raise ValueError("the key is " + os.environ["SITE_TOKEN"])
    raise ValueError("no such\\nhow")
'''


class Shop(Place):
    def __init__(self, root):
        super().__init__(root)
        (root / "tools").mkdir()
        self.write(WORDS)
        self.allow("word_count, show, fail")
        self.spool = Spool(root / ".signoff" / "spool")
        self.environ = {}

    def write(self, text, name="words.py"):
        (self.root / "tools" / name).write_text(text)

    def allow(self, names):
        self.edit("run_command, hand_off", f"{names}, run_command, hand_off")

    def load(self):
        return load(self.root, environ={})

    def tool(self, name, team=None):
        equipment = Equipment(workspace=self.root, spool=self.spool, environ=self.environ)
        return registry(equipment, team or self.load())[name]

    async def call(self, name, *, attempt="t-1:0:e0", again=False, seconds=10, reach=None, team=None, **arguments):
        place = Workplace(
            role="devops", task="t-1", attempt=attempt, seconds_max=seconds, again=again, reach=reach or Reach()
        )
        return await self.tool(name, team).run(arguments, place)


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path / "ws")


def test_reading_a_tool_runs_nothing(shop):
    team = shop.load()
    assert not (shop.root / "tools" / "ran").exists()
    assert not list((shop.root / "tools").glob("__pycache__"))
    spec = team.spec("devops", "word_count")
    assert (spec.tier, spec.effect, spec.untrusted) == (Tier.EXTERNAL, EffectClass.ONCE, True)
    assert re.fullmatch(r"tools/words\.py@sha256:[0-9a-f]{64}", spec.program)
    act = act_of(team, "devops", "word_count", {"path": "a"}, {})
    assert act.action.fingerprint == spec.program
    assert act.action.arguments == {"path": "a", "lines": False}
    assert act.tier is Tier.EXTERNAL
    assert act_of(team, "developer", "word_count", {"path": "a"}, {}).what == "developer may not use word_count"


def test_the_team_says_what_a_tool_is(shop):
    shop.edit(
        "commands:\n",
        "tools:\n  word_count: {tier: read, effect: read, resource: 'file:{path}', says: 'Counts {path}',"
        " seconds_max: 5}\ncommands:\n",
    )
    team = shop.load()
    spec = team.spec("devops", "word_count")
    assert (spec.tier, spec.effect, spec.untrusted, spec.seconds_max) == (Tier.READ, EffectClass.READ, False, 5)
    assert act_of(team, "devops", "word_count", {"path": "a"}, {}).action.resource == "file:a"
    shop.edit("says: 'Counts {path}'", "says: 'Counts {it}', untrusted: true")
    errors, _ = check(shop.root)
    assert ["names no argument" in str(error) for error in errors] == [True]
    shop.edit("{it}", "{path}")
    assert shop.load().spec("devops", "word_count").untrusted


def test_a_changed_file_is_a_new_definition(shop):
    before = shop.load()
    resolver = CommandResolver(shop.root, lambda: before)
    assert resolver.fingerprint("word_count", {}) == before.tools["word_count"].program
    shop.write(WORDS + "\n")
    after = shop.load()
    assert resolver.fingerprint("word_count", {}) == after.tools["word_count"].program
    assert before.version != after.version
    assert before.roles["devops"].version != after.roles["devops"].version
    assert before.roles["developer"].version == after.roles["developer"].version
    (shop.root / "tools" / "words.py").unlink()
    with pytest.raises(TerminalError):
        resolver.fingerprint("word_count", {})


WRONG = [
    ('def f(path):\n    """It."""', "tools/more.py:1: f: path has no type"),
    ('def read_file(path: str):\n    """It."""', "tools/more.py:1: read_file is a tool of Signoff"),
    ('def word_count(path: str):\n    """It."""', "tools/words.py:10: word_count is a tool of tools/more.py"),
    ("def f(:", "tools/more.py:1: not Python"),
    ("x = '" + "y" * 300_000 + "'", "tools/more.py: has 262145 bytes"),
]


@pytest.mark.parametrize(("text", "error"), WRONG)
def test_what_is_no_tool_is_an_error(shop, text, error):
    shop.write(text, "more.py")
    errors, _ = check(shop.root)
    assert any(str(one).startswith(error) for one in errors), errors


def test_odd_files_are_left_alone_and_links_are_refused(shop, tmp_path):
    (shop.root / "tools" / "notes.md").write_text("no tool")
    shop.write("def broken(", "_helper.py")
    shop.write("X = 1\n", "empty.py")
    errors, notices = check(shop.root)
    assert errors == []
    assert "tools/empty.py: holds no tool: no function with a name that begins with a letter" in map(str, notices)
    outside = tmp_path / "outside.py"
    outside.write_text('def evil():\n    """It."""\n')
    (shop.root / "tools" / "evil.py").symlink_to(outside)
    errors, _ = check(shop.root)
    assert [str(error).startswith("tools/evil.py: cannot be read") for error in errors] == [True]


def test_a_folder_that_is_a_link_is_refused(shop, tmp_path):
    (shop.root / "tools").rename(tmp_path / "elsewhere")
    (shop.root / "tools").symlink_to(tmp_path / "elsewhere")
    errors, _ = check(shop.root)
    assert str(errors[-1]).startswith("tools: cannot be read")


def test_rows_of_tools_of_ours_say_no_more_than_they_may(shop):
    shop.edit("commands:\n", "tools:\n  read_file: {effect: read, says: x}\ncommands:\n")
    errors, _ = check(shop.root)
    assert [str(error).split(": ")[1] for error in errors] == ["effect of read_file", "says of read_file"]


async def test_a_tool_runs_in_a_clean_place_of_its_own(shop, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    monkeypatch.setenv("PYTHONSTARTUP", "x")
    home = shop.root / "files" / "devops"
    assert (await shop.call("show", what="cwd")).text == str(home)
    (home / "a.md").write_text("one two\nthree\n")
    assert (await shop.call("word_count", attempt="t-1:1:e0", path="a.md")).text == "3"
    assert (await shop.call("word_count", attempt="t-1:2:e0", path="a.md", lines=True)).text == "2"
    env = (await shop.call("show", attempt="t-1:3:e0", what="env")).text
    names = {line.partition("=")[0] for line in env.splitlines()}
    assert names <= {"HOME", "LANG", "PATH", "SIGNOFF_ATTEMPT", "SIGNOFF_KEY", "LC_CTYPE"}
    assert (shop.root / "tools" / "ran").read_text() == "xxxx"


async def test_results_are_text_and_bounded(shop):
    assert (await shop.call("show", attempt="a", what="dict")).text == '{"ä": [1, true]}'
    assert (await shop.call("show", attempt="b", what="none")).text == "done"
    long = (await shop.call("show", attempt="c", what="long")).text
    assert len(long.encode()) < 17_000
    assert long.endswith("ä\n… cut: 40000 bytes in all")
    assert (await shop.call("show", attempt="d", what="cut")).text == "x\\x1b[2J"


FAILED = [
    ({"how": "odd"}, "fail failed", "ValueError: no such (line 45)"),
    ({"how": "exit"}, "fail failed", "SystemExit: gone (line 28)"),
    ({"how": "hard"}, "fail did not finish: exit 7", "it said nothing"),
    ({"how": "memory"}, "fail was ended by a limit: it may use 512 MB of memory (reach.memory_mb)", "MemoryError"),
    ({"nope": 1}, "fail failed", "TypeError: fail() got an unexpected keyword argument 'nope'"),
]


@pytest.mark.parametrize(("arguments", "what", "why"), FAILED)
async def test_what_is_raised_is_one_line(shop, arguments, what, why):
    result = await shop.call("fail", **arguments)
    assert result.failure.what == what
    assert result.failure.why.startswith(why)
    assert "Traceback" not in result.failure.why
    assert "\n" not in result.failure.why


async def test_time_is_limited(shop):
    result = await shop.call("fail", how="spin", reach=Reach(cpu_seconds_max=1))
    assert result.failure.what == "fail was ended by a limit: it may use 1 s of processor time (reach.cpu_seconds)"
    result = await shop.call("fail", attempt="t-1:1:e0", how="sleep", seconds=1)
    assert result.failure.what == "fail was stopped after 1 s"


async def test_a_fork_bomb_ends(shop, monkeypatch):
    monkeypatch.setattr("agents.tools.supervised.PROCESSES_MAX", 24)
    result = await shop.call("fail", how="bomb", reach=Reach(memory_mb_max=2048))
    assert result.failure.what == "fail was ended by a limit: it may have 24 processes at a time"


async def test_the_same_attempt_runs_once(shop):
    first = await shop.call("show", what="cwd")
    assert shop.tool("show").remembers
    shop.write("def show(what: str): 'It.'\ndef word_count(): 'It.'\ndef fail(): 'It.'\n")
    assert (await shop.call("show", what="cwd", again=True)).text == first.text
    assert (shop.root / "tools" / "ran").read_text() == "x"


async def test_an_outcome_nobody_can_know_is_said(shop):
    await shop.call("show", what="cwd")
    (shop.spool._root / "t-1:0:e0" / "exit.json").unlink()
    with pytest.raises(UnknownOutcomeError):
        await shop.call("show", what="cwd", again=True)


async def test_a_file_changed_since_the_task_began_does_not_run(shop):
    team = shop.load()
    shop.write(WORDS + "\n")
    result = await shop.call("show", what="cwd", team=team)
    assert result.failure.why == "the tool's file is not the one this task was started with"
    (shop.root / "tools" / "words.py").unlink()
    result = await shop.call("show", attempt="t-1:1:e0", what="cwd", team=team)
    assert "cannot be read" in result.failure.why
    assert not (shop.root / "tools" / "ran").exists()


async def test_it_can_be_cancelled(shop):
    async with asyncio.TaskGroup() as group:
        running = group.create_task(shop.call("fail", how="sleep"))
        while not (shop.root / "tools" / "ran").exists():  # noqa: ASYNC110 - the child tells it by a file
            await asyncio.sleep(0.02)
        await shop.tool("fail").cancel("t-1:0:e0")
    assert running.result().failure.what == "fail was cancelled"
    await shop.tool("fail").cancel("t-1:1:e0")
    result = await shop.call("fail", attempt="t-1:1:e0", how="sleep")
    assert result.failure.why == "it did not run"


async def test_credentials_reach_the_tool_and_nobody_else(shop):
    shop.environ = {"SITE_TOKEN": "hunter-2+2", "OTHER": "no"}
    reach = Reach(credentials=("SITE_TOKEN",))
    env = (await shop.call("show", what="env", reach=reach)).text
    assert "SITE_TOKEN=[SITE_TOKEN]" in env
    assert "OTHER" not in env
    result = await shop.call("fail", attempt="t-1:1:e0", how="secret", reach=reach)
    assert result.failure.why == "ValueError: the key is [SITE_TOKEN] (line 44)"
    shop.environ = {}
    result = await shop.call("show", attempt="t-1:2:e0", what="env", reach=reach)
    assert result.failure.what == "missing credential: SITE_TOKEN"


async def test_the_example_of_the_docs_works(shop):
    text = (Path(__file__).parents[2] / "docs" / "tools.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (said,) = re.findall(r"```yaml\n(tools:\n.*?)```", text, re.DOTALL)
    shop.write(code)
    shop.edit("word_count, show, fail", "word_count")
    shop.edit("commands:\n", f"{said}commands:\n")
    (shop.root / "files" / "devops").mkdir(parents=True)
    (shop.root / "files" / "devops" / "a.md").write_text("one two\nthree\n")
    assert (await shop.call("word_count", attempt="t-1:0:e0", path="a.md", what="words")).text == "3"
    assert (await shop.call("word_count", attempt="t-1:1:e0", path="a.md", what="lines")).text == "2"
    described = shop.load().spec("devops", "word_count").parameters["properties"]
    assert described["path"]["description"] == "a file of yours"


def test_a_stored_team_keeps_its_tools(shop):
    team = shop.load()
    again = msgspec.json.decode(msgspec.json.encode(team), type=type(team))
    assert shop.tool("show", again).spec == team.tools["show"]


async def test_a_short_credential_hides_no_result(shop):
    shop.environ = {"SITE_TOKEN": "ok"}
    result = await shop.call("show", what="dict", reach=Reach(credentials=("SITE_TOKEN",)))
    assert result.text == '{"ä": [1, true]}'
