"""run_command: only what team.yaml names, in a clean place, at most once for each attempt."""

import asyncio
import json

import msgspec
import pytest

from agents import workspace
from agents.team import load
from agents.tools import Equipment, base_specs, commands, control, memory, registry, reminding
from agents.tools.commands import CommandResolver, RunCommand
from agents.tools.files import Files
from agents.tools.spool import NotStarted, Spool, executable_digest
from core.model.errors import TerminalError
from core.model.team import Command, EffectClass, Tier
from core.ports import UnknownOutcomeError, Workplace
from core.rules.actions import act_of
from core.rules.schema import check_arguments

SAY = """#!/bin/sh
echo run >>"$(dirname "$0")/runs"
printf 'args'; for a in "$@"; do printf ' <%s>' "$a"; done; echo
pwd
env | sort
"""


class Shop:
    """A workspace with one role, `ops`, and commands made of small scripts."""

    def __init__(self, root):
        workspace.init(root, "three")
        self.root = root
        self.team = load(root, environ={})
        self.spool = Spool(root / ".signoff" / "spool")
        self.made = {}

    def script(self, name, text):
        path = self.root / f"{name}.sh"
        path.write_text(text)
        path.chmod(0o755)
        return path

    def command(self, name, text, *, argv=(), args=None, **more):
        self.script(name, text)
        self.made[name] = Command(name=name, argv=(f"./{name}.sh", *argv), args=args or {}, **more)
        role = msgspec.structs.replace(self.team.roles["devops"], commands=tuple(self.made))
        roles = self.team.roles | {"devops": role}
        self.team = msgspec.structs.replace(self.team, commands=dict(self.made), roles=roles)

    @property
    def tool(self):
        return RunCommand(self.root, self.team, self.spool)

    async def call(self, name, *, attempt="t-1:0:e0", role="devops", again=False, seconds=10, **args):
        place = Workplace(role=role, task="t-1", attempt=attempt, seconds_max=seconds, again=again)
        return await self.tool.run({"command": name, "args": args}, place)

    def runs(self):
        path = self.root / "runs"
        return path.read_text().count("run") if path.exists() else 0

    async def begun(self):
        while not self.runs():  # noqa: ASYNC110 - the child tells it by a file
            await asyncio.sleep(0.02)


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path / "ws")


async def test_a_command_runs_in_a_clean_place(shop, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    shop.command("say", SAY, argv=("{who}", "--n={n}"), args={"who": {"type": "string"}, "n": {"default": 3}})
    result = await shop.call("say", who="a b; $(id) {n}")
    assert result.failure is None
    lines = result.text.splitlines()
    home = str(shop.root / "files" / "devops")
    assert lines[0].startswith("say: exit 0 after ")
    assert lines[1:3] == ["args <a b; $(id) {n}> <--n=3>", home]
    names = {line.partition("=")[0] for line in lines[3:]}
    assert names <= {"HOME", "LANG", "PATH", "PWD", "OLDPWD", "SHLVL", "_", "SIGNOFF_ATTEMPT", "SIGNOFF_KEY"}
    assert f"HOME={home}" in lines
    assert "PATH=/usr/bin:/bin" in lines
    assert "secret" not in result.text


REFUSED = [
    ({"who": "-rf"}, "starts with -"),
    ({"who": "--help"}, "starts with -"),
    ({"who": "a\0b"}, "NUL"),
    ({"who": 5}, "must be string"),
    ({}, "who"),
    ({"who": "x", "more": "y"}, "more"),
]


@pytest.mark.parametrize(("args", "why"), REFUSED)
async def test_wrong_arguments_run_nothing(shop, args, why):
    shop.command("say", SAY, argv=("{who}",), args={"who": {"type": "string"}})
    result = await shop.call("say", **args)
    assert why in result.failure.why
    assert "who" in result.failure.recovery
    assert shop.runs() == 0


async def test_an_option_that_the_manifest_names_is_allowed(shop):
    shop.command("say", SAY, argv=("{mode}",), args={"mode": {"enum": ["-v", "plain"]}})
    assert "args <-v>" in (await shop.call("say", mode="-v")).text


async def test_only_ones_own_commands(shop):
    shop.command("say", SAY)
    for name, role in (("say", "developer"), ("sh", "devops"), ("./say.sh", "devops"), ("say", "nobody")):
        assert "no command" in (await shop.call(name, role=role)).failure.what
    assert shop.runs() == 0


async def test_a_program_that_is_gone_or_in_files_runs_nothing(shop):
    shop.command("say", SAY)
    (shop.root / "say.sh").unlink()
    assert "missing" in (await shop.call("say")).failure.why
    Files(shop.root).workdir("devops")
    inside = shop.root / "files" / "devops" / "say.sh"
    inside.write_text(SAY)
    inside.chmod(0o755)
    (shop.root / "say.sh").symlink_to(inside)
    assert "agents write" in (await shop.call("say")).failure.why
    assert shop.runs() == 0


async def test_failure_brings_the_last_lines(shop):
    shop.command("fail", "#!/bin/sh\nseq 1 500\necho 'disk is odd' >&2\nexit 3\n")
    result = await shop.call("fail")
    assert result.failure.what == "fail failed: exit 3"
    assert result.failure.why.splitlines()[-2:] == ["500", "disk is odd"]
    assert len(result.failure.why.splitlines()) == 20


async def test_output_is_bounded(shop):
    shop.command("chatty", "#!/bin/sh\nseq 1 100000\n")
    result = await shop.call("chatty")
    assert len(result.text) < 20_000
    assert "\n1\n2\n" in result.text
    assert "100000" in result.text
    assert "cut: 588895 bytes in all" in result.text


async def test_a_deadline_is_kept(shop):
    shop.command("slow", "#!/bin/sh\necho begun\nsleep 60\n", seconds_max=1)
    result = await shop.call("slow", seconds=30)
    assert "slow was stopped after 1 s" in result.failure.what
    assert "begun" in result.failure.why


async def test_the_same_attempt_runs_once(shop):
    shop.command("say", SAY)
    first = await shop.call("say")
    assert (await shop.call("say", again=True)).text == first.text
    assert (await shop.call("say")).text == first.text
    assert shop.runs() == 1
    await shop.call("say", attempt="t-1:1:e0")
    assert shop.runs() == 2


async def test_again_after_nothing_was_started_runs_once(shop):
    shop.command("say", SAY)
    assert shop.tool.remembers
    for _ in range(3):
        assert (await shop.call("say", again=True)).failure is None
    assert shop.runs() == 1


async def test_again_finds_an_outcome_although_the_program_is_gone(shop):
    shop.command("say", SAY)
    for attempt, again in (("t-1:0:e0", False), ("t-1:1:e0", True)):
        await shop.call("say", attempt=attempt, again=again)
    (shop.root / "say.sh").unlink()
    for attempt in ("t-1:0:e0", "t-1:1:e0"):
        assert (await shop.call("say", attempt=attempt, again=True)).failure is None
    assert shop.runs() == 2


async def test_again_waits_for_what_is_alive(shop):
    shop.command("gate", '#!/bin/sh\necho run >>"${0%/*}/runs"\nwhile [ ! -e "${0%/*}/open" ]; do sleep 0.05; done\n')
    async with asyncio.TaskGroup() as group:
        first = group.create_task(shop.call("gate"))
        await shop.begun()
        second = group.create_task(shop.call("gate", again=True))
        await asyncio.sleep(0.1)
        assert not second.done()
        (shop.root / "open").touch()
    assert first.result().text == second.result().text
    assert shop.runs() == 1


async def test_an_outcome_nobody_can_know_is_said(shop):
    shop.command("say", SAY)
    directory = shop.root / ".signoff" / "spool" / "t-1:0:e0"
    directory.mkdir(parents=True)
    (directory / "started").write_text("{}")
    with pytest.raises(UnknownOutcomeError):
        await shop.call("say", again=True)
    with pytest.raises(UnknownOutcomeError):
        await shop.call("say")
    assert shop.runs() == 0


async def test_cancel_ends_a_run(shop):
    shop.command("slow", '#!/bin/sh\necho run >>"${0%/*}/runs"\nsleep 60\n')
    async with asyncio.TaskGroup() as group:
        running = group.create_task(shop.call("slow", seconds=30))
        await shop.begun()
        await shop.tool.cancel("t-1:0:e0")
    assert running.result().failure.what == "slow was cancelled"


async def test_cancelled_before_it_began_it_never_runs(shop):
    shop.command("say", SAY)
    await shop.tool.cancel("t-1:0:e0")
    result = await shop.call("say")
    assert result.failure.why == "it did not run"
    assert shop.runs() == 0
    assert isinstance(shop.spool.look("t-1:9:e0"), NotStarted)


def test_the_resolver_knows_programs(shop):
    resolver = CommandResolver(shop.root, lambda: shop.team)
    print_ = executable_digest(shop.root / "deploy.sh")
    assert resolver.fingerprint("run_command", {"command": "deploy", "args": {"site": "docs"}}) == print_
    assert resolver.fingerprint("read_file", {"path": "x"}) == ""
    (shop.root / "deploy.sh").write_text("#!/bin/sh\nexit 1\n")
    assert resolver.fingerprint("run_command", {"command": "deploy"}) != print_
    (shop.root / "deploy.sh").unlink()
    for arguments in ({"command": "deploy"}, {"command": "nope"}, {}):
        with pytest.raises(TerminalError):
            resolver.fingerprint("run_command", arguments)


async def test_the_shipped_demonstration_publishes(shop):
    tools = registry(Equipment(workspace=shop.root, spool=shop.spool), shop.team)
    elsewhere = {*control.specs(), *memory.SPECS, reminding.SPEC.name}  # the step's own, and what needs a store
    assert set(tools) | elsewhere == set(base_specs())
    act = act_of(
        shop.team, "devops", "run_command", {"command": "deploy", "args": {"site": "landing"}}, {"deploy": "f"}
    )
    assert (act.tier, act.effect, act.action.resource) == (Tier.INFRASTRUCTURE, EffectClass.ONCE, "site:landing")
    place = Workplace(role="devops", task="t-1", attempt="t-1:0:e0", seconds_max=10)
    result = await tools["run_command"].run(act.action.arguments, place)
    assert "landing is live since" in result.text
    assert (shop.root / "deployed.log").read_text().count("landing") == 1
    asked = {"command": "status", "args": {"site": "landing"}}
    place = Workplace(role="devops", task="t-1", attempt="t-1:1:e0", seconds_max=10)
    assert "landing is live since" in (await tools["run_command"].run(asked, place)).text


def test_two_commands_may_mean_different_things_by_one_name():
    one = Command(name="one", argv=("./x", "{site}"), args={"site": {"enum": ["a"]}})
    two = Command(name="two", argv=("./x", "{site}"), args={"site": {"enum": ["b"]}, "more": {}})
    spec = commands.spec({"one": one, "two": two})
    json.dumps(spec.parameters)
    assert isinstance(check_arguments(spec.parameters, {"command": "one", "args": {"site": "a"}}), dict)
    assert isinstance(check_arguments(spec.parameters, {"command": "two", "args": {"site": "b", "more": 1}}), dict)
    assert isinstance(check_arguments(spec.parameters, {"command": "three", "args": {"site": "b"}}), tuple)
    assert isinstance(check_arguments(spec.parameters, {"command": "one"}), tuple)
