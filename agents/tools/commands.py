"""run_command: the commands team.yaml names, and nothing else; no shell.

Law: what runs is the argv of the manifest with argument texts in its places, in files/<role>, with a clean environment
and its role's credentials, within its role's limits, and only while the program's bytes are those that were looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, assert_never

from agents.tools import credentials, programs, spool
from agents.tools.control import shape
from agents.tools.files import Files, RefusedError
from agents.tools.marks import run_marked
from agents.tools.supervised import LOOK_FIRST, Job, Supervised, failed, limit_hit, limits_of
from agents.tools.written import program_now
from core.model.errors import TerminalError
from core.model.team import Command, EffectClass, Json, Reach, Team, Tier, ToolSpec
from core.model.work import ToolResult
from core.ports import Workplace
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
    lines = "\n".join(
        f"{name}: {command.about}{_args(command)} [{command.tier.value}]" for name, command in commands.items()
    )
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
        """`sha256:<hex>` of the program a command names; of a tool that people wrote its file, as it is now, as its
        spec has it; "" for other tools. Raises TerminalError.
        """
        if tool != NAME:
            spec = self._team().tools.get(tool)
            return program_now(self._workspace, spec.program) if spec is not None and spec.program else ""
        command = self._team().commands.get(str(arguments.get("command")))
        if command is None:
            raise TerminalError(f"no command {arguments.get('command')!r}", "name one of team.yaml")
        return _digest(_program(self._workspace, command))


class RunCommand:
    """Implements ports.Tool. One attempt runs its command at most once, however often `run` is called for it."""

    def __init__(
        self, workspace: Path, team: Team, runs: spool.Spool, environ: Mapping[str, str] | None = None
    ) -> None:
        self._workspace = workspace.absolute()
        self._team = team
        self._supervised = Supervised(runs)
        self._files = Files(workspace)
        self._environ = environ or {}

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
        name = str(arguments.get("command"))
        command = self._team.commands.get(name)
        mask = credentials.mask_of(place, self._environ)
        job = Job(
            name=name,
            build=lambda: self._build(arguments, place),
            told=lambda ended, output: _result(name, ended, mask.hide(output), place.reach),
            effect=command.effect if command else EffectClass.ONCE,
        )
        outside = command is not None and command.untrusted
        return await run_marked(self._files.marks, place, lambda: self._supervised.run(job, place), declared=outside)

    async def cancel(self, attempt: str) -> None:
        """SIGTERM, then SIGKILL; what has not started will not."""
        await self._supervised.cancel(attempt)

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
                env=credentials.environment(home, place, self._environ),
                executable_digest=digest,
                seconds_max=min(command.seconds_max, place.seconds_max),
                output_bytes_max=OUTPUT_BYTES_MAX,
                limits=limits_of(place.reach),
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


def _result(name: str, ended: spool.Exit, output: str, reach: Reach) -> ToolResult:
    tail = "\n".join(output.rstrip().splitlines()[-_TAIL_LINES:])[-_TAIL_CHARS:]
    if limit := limit_hit(ended, output, reach):
        return failed(f"{name} was ended by a limit: {limit}", tail or "it said nothing", f"do less; {LOOK_FIRST}")
    match ended.reason:
        case "exited" if ended.code == 0:
            cut = f"\n… cut: {ended.bytes_total} bytes in all" if ended.truncated else ""
            shown = output if len(output) <= TEXT_CHARS_MAX else f"{output[: TEXT_CHARS_MAX // 2]}\n…\n{tail}"
            return ToolResult(text=f"{name}: exit 0 after {ended.seconds:.1f} s\n{shown}{cut}")
        case "exited" | "limit":
            how = f"exit {ended.code}" if ended.code is not None else f"killed by signal {ended.signal}"
            return failed(f"{name} failed: {how}", tail or "it said nothing", LOOK_FIRST)
        case "timeout":
            return failed(f"{name} was stopped after {ended.seconds:.0f} s", tail or "it said nothing", LOOK_FIRST)
        case "cancelled":
            ran = ended.code is not None or ended.signal is not None
            return failed(f"{name} was cancelled", tail or ("it had begun" if ran else "it did not run"), LOOK_FIRST)
        case "refused" | "failed_to_start":
            return failed(f"{name} did not run", ended.message, "hand this off: a person must look at the program")
        case _:
            assert_never(ended.reason)
