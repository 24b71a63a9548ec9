"""run_command: the commands team.yaml names, and nothing else; no shell.

Law: what runs is the argv of the manifest with argument texts in its places, in files/<role>, with a clean environment,
and only while the program's bytes are those that were looked at. Whether it ran is the spool's word alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, assert_never

from agents.tools import programs, spool
from agents.tools.control import shape
from agents.tools.files import Files, RefusedError
from core.model.errors import TerminalError
from core.model.team import Command, EffectClass, Json, Team, Tier, ToolSpec
from core.model.work import Failure, ToolResult
from core.ports import UnknownOutcomeError, Workplace
from core.rules.actions import RUN_COMMAND, argv_of, schema_of, text_of
from core.rules.schema import check_arguments

NAME = RUN_COMMAND
OUTPUT_BYTES_MAX = 65_536
TEXT_CHARS_MAX = 16_000
_TAIL_LINES = 20
_TAIL_CHARS = 2_000


def spec(commands: Mapping[str, Command]) -> ToolSpec:
    """`run_command` as a role with these commands sees it."""
    arguments: dict[str, Json] = {}
    for command in commands.values():
        for name, schema in command.args.items():
            # Two commands may mean different things by one name: the tool checks by the command's own schema.
            arguments[name] = schema if arguments.get(name, schema) == schema else {}
    needed = tuple(name for name in arguments if all(name in _required(command) for command in commands.values()))
    lines = "\n".join(f"{name}: {command.about}{_args(command)}" for name, command in commands.items())
    return ToolSpec(
        name=NAME,
        about=f"Run one of these commands:\n{lines}" if lines else "Run a command of team.yaml",
        parameters=shape(
            {"command": {"enum": list(commands)}, "args": shape(arguments, needed)},
            ("command", "args") if needed else ("command",),
        ),
        tier=max((c.tier for c in commands.values()), key=list(Tier).index, default=Tier.INFRASTRUCTURE),
        effect=EffectClass.ONCE,
        verb="run",
        seconds_max=max((c.seconds_max for c in commands.values()), default=30),
    )


def _required(command: Command) -> tuple[str, ...]:
    return tuple(schema_of(command)["required"])


def _args(command: Command) -> str:
    return f"; args: {', '.join(command.args)}" if command.args else ""


class CommandResolver:
    """Implements ports.Resolver."""

    def __init__(self, workspace: Path, team: Callable[[], Team]) -> None:
        self._workspace = workspace
        self._team = team

    def fingerprint(self, tool: str, arguments: dict[str, Any]) -> str:
        """`sha256:<hex>` of the program a command names, "" for other tools. Raises TerminalError."""
        if tool != NAME:
            return ""
        command = self._team().commands.get(str(arguments.get("command")))
        if command is None:
            raise TerminalError(f"no command {arguments.get('command')!r}", "name one of team.yaml")
        return _digest(_program(self._workspace, command))


class RunCommand:
    """Implements ports.Tool. One attempt runs its command at most once, however often `run` is called for it."""

    def __init__(self, workspace: Path, team: Team, runs: spool.Spool) -> None:
        self._workspace = workspace.absolute()
        self._team = team
        self._spool = runs
        self._files = Files(workspace)

    @property
    def spec(self) -> ToolSpec:
        """As a role with every command sees it."""
        return spec(self._team.commands)

    @property
    def remembers(self) -> bool:
        """The spool does."""
        return True

    async def run(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        """Start it, or find out what an earlier try came to. Raises UnknownOutcomeError, OSError."""
        name, attempt = str(arguments.get("command")), place.attempt
        if place.again:
            look = await asyncio.to_thread(self._spool.look, attempt)
            lost = isinstance(look, spool.Unknown) and self._may_rerun(name)
            if not lost and not isinstance(look, spool.NotStarted):
                return await self._outcome(name, attempt)
            attempt = _second(attempt)  # the first is over: it will certainly never run from here on
        try:
            command = await asyncio.to_thread(self._build, arguments, place)
        except RefusedError as refused:
            return await self._unless_ran(name, attempt, place, refused)
        try:
            await self._spool.start(attempt, command)
        except OSError as error:
            return _failed(f"{name} did not start", str(error), "it did not run: try once more, or hand off")
        return await self._outcome(name, attempt)

    async def cancel(self, attempt: str) -> None:
        """SIGTERM, then SIGKILL; what has not started will not."""
        await self._spool.cancel(attempt)
        await self._spool.cancel(_second(attempt))

    def _may_rerun(self, name: str) -> bool:
        """Its class says that a second run does no harm (ENGINE.md, pitfall 2); the key in SIGNOFF_KEY stays."""
        command = self._team.commands.get(name)
        return command is not None and command.effect in {EffectClass.READ, EffectClass.IDEMPOTENT}

    async def _unless_ran(self, name: str, attempt: str, place: Workplace, refused: RefusedError) -> ToolResult:
        """A second try may have run before the engine stopped, and the program may be gone since."""
        if place.again:
            look = await asyncio.to_thread(self._spool.look, attempt)
            if not isinstance(look, spool.NotStarted):
                return await self._outcome(name, attempt)
        return ToolResult(failure=refused.failure)

    async def _outcome(self, name: str, attempt: str) -> ToolResult:
        try:
            ended = await self._spool.wait(attempt)
        except spool.AttemptLostError as lost:
            match lost.look:
                case spool.Unknown():
                    raise UnknownOutcomeError(f"{name} was started and left no record of its end") from lost
                case spool.NotStarted():
                    return _failed(f"{name} did not start", "its supervisor ended first", "it did not run: try again")
                case _:
                    assert_never(lost.look)
        output = await asyncio.to_thread(self._spool.output, attempt)
        return _result(name, ended, output)

    def _build(self, arguments: dict[str, Any], place: Workplace) -> spool.Command:
        command = self._allowed(str(arguments.get("command")), place.role)
        args = _checked(command, arguments.get("args", {}))
        try:
            program = _program(self._workspace, command)
            digest = _digest(program)
            home = str(self._files.workdir(place.role))
            return spool.Command(
                argv=(str(program), *argv_of(command, args)[1:]),  # the very words the approver saw
                cwd=home,
                env={"PATH": programs.SYSTEM_PATH, "HOME": home, "LANG": "C.UTF-8", "SIGNOFF_KEY": place.attempt},
                executable_digest=digest,
                seconds_max=min(command.seconds_max, place.seconds_max),
                output_bytes_max=OUTPUT_BYTES_MAX,
            )
        except (TerminalError, OSError, ValueError) as error:
            what = f"{command.name} cannot run"
            raise RefusedError(what, str(error), "hand this off: a person must mend it") from error

    def _allowed(self, name: str, role: str) -> Command:
        allowed = self._team.roles[role].commands if role in self._team.roles else ()
        if name not in allowed:
            ours = f"your commands: {', '.join(allowed) or 'none'}"
            raise RefusedError(f"no command {name!r}", "it is not one of yours", ours)
        return self._team.commands[name]


def _second(attempt: str) -> str:
    return f"{attempt}.again"


def _program(workspace: Path, command: Command) -> Path:
    program = programs.find(workspace, command.argv[0])
    if program is None:
        raise TerminalError(f"{command.argv[0]} is missing or not executable", "put it back")
    if programs.is_writable_by_agents(workspace, program):
        raise TerminalError(f"{command.argv[0]} lies in files/, where agents write", "move it")
    return program


def _digest(program: Path) -> str:
    try:
        return spool.executable_digest(program)
    except OSError as error:
        raise TerminalError(f"{program.name} cannot be read ({error.strerror})", "make it readable") from error


def _checked(command: Command, given: Json) -> dict[str, Json]:
    """The arguments, complete, by the command's own schemas. Nothing in them can turn into an option."""
    about = ", ".join(_allowed_values(name, schema) for name, schema in command.args.items()) or "none"
    checked = check_arguments(schema_of(command), given)
    if isinstance(checked, tuple):
        raise RefusedError(f"wrong arguments for {command.name}", "; ".join(checked), f"its args: {about}")
    for name, value in checked.items():
        text = text_of(value)
        if "\0" in text or (text.startswith("-") and value not in command.args[name].get("enum", ())):
            why = f"{name} starts with - or holds a NUL"
            raise RefusedError(f"wrong arguments for {command.name}", why, f"its args: {about}")
    return checked


def _allowed_values(name: str, schema: Mapping[str, Json]) -> str:
    return f"{name} ({', '.join(map(text_of, schema['enum']))})" if "enum" in schema else name


def _result(name: str, ended: spool.Exit, output: str) -> ToolResult:
    tail = "\n".join(output.rstrip().splitlines()[-_TAIL_LINES:])[-_TAIL_CHARS:]
    look = "look at what it did before you act again"
    match ended.reason:
        case "exited" if ended.code == 0:
            cut = f"\n… cut: {ended.bytes_total} bytes in all" if ended.truncated else ""
            shown = output if len(output) <= TEXT_CHARS_MAX else f"{output[: TEXT_CHARS_MAX // 2]}\n…\n{tail}"
            return ToolResult(text=f"{name}: exit 0 after {ended.seconds:.1f} s\n{shown}{cut}")
        case "exited":
            how = f"exit {ended.code}" if ended.code is not None else f"killed by signal {ended.signal}"
            return _failed(f"{name} failed: {how}", tail or "it said nothing", look)
        case "timeout":
            return _failed(f"{name} was stopped after {ended.seconds:.0f} s", tail or "it said nothing", look)
        case "cancelled":
            ran = ended.code is not None or ended.signal is not None
            return _failed(f"{name} was cancelled", tail or ("it had begun" if ran else "it did not run"), look)
        case "refused" | "failed_to_start":
            return _failed(f"{name} did not run", ended.message, "hand this off: a person must look at the program")
        case _:
            assert_never(ended.reason)


def _failed(what: str, why: str, recovery: str) -> ToolResult:
    return ToolResult(failure=Failure(what=what, why=why, recovery=recovery))
