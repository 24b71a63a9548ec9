"""Tools that people wrote for their team: a function of a Python file, run in a process of its own.

Law: the engine never imports the file. What runs is the file whose digest the definition holds: one that was changed
since needs a new definition, and tasks of the old one are told so. Whether it ran is the spool's word, as for commands.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.tools import credentials, runner, spool, walk
from agents.tools.files import Files, RefusedError
from agents.tools.marks import run_marked
from agents.tools.signatures import BYTES_MAX
from agents.tools.supervised import LOOK_FIRST, Job, Supervised, failed, limit_hit, limits_of
from core.model.errors import TerminalError
from core.model.team import Reach, ToolSpec
from core.model.work import ToolResult
from core.ports import Workplace

_MARGIN_BYTES = 4_096
"""For the first line, and the one that says what was cut."""
_MEND = "hand this off: a person must look at the tool"


def program_of(path: str, source: bytes) -> str:
    """What a spec holds of a file: its path in the workspace, and the digest of its bytes."""
    return f"{path}@sha256:{hashlib.sha256(source).hexdigest()}"


def program_now(workspace: Path, program: str) -> str:
    """The same of the file as it is now. Raises TerminalError."""
    path = program.rpartition("@")[0]
    try:
        source, size = walk.read(workspace, tuple(path.split("/")), BYTES_MAX)
    except OSError as error:
        raise TerminalError(f"{path} cannot be read ({error.strerror or error})", "put it back") from error
    if size > BYTES_MAX:
        raise TerminalError(f"{path} has {size} bytes", f"at most {BYTES_MAX}")
    return program_of(path, source)


class WrittenTool:
    """Implements ports.Tool. One attempt calls its function at most once, however often `run` is called for it."""

    def __init__(self, workspace: Path, spec: ToolSpec, runs: spool.Spool, environ: Mapping[str, str]) -> None:
        self._workspace = workspace.absolute()
        self._spec = spec
        self._files = Files(workspace)
        self._supervised = Supervised(runs)
        self._environ = environ

    @property
    def spec(self) -> ToolSpec:
        """As the file says it, and team.yaml."""
        return self._spec

    @property
    def remembers(self) -> bool:
        """The spool does."""
        return True

    async def run(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        """Start it, or find out what an earlier try came to. Raises UnknownOutcomeError, OSError."""
        mask = credentials.mask_of(place, self._environ)
        job = Job(
            name=self._spec.name,
            build=lambda: self._build(arguments, place),
            told=lambda ended, output: _result(self._spec.name, ended, output, mask, place.reach),
            effect=self._spec.effect,
        )
        outside = self._spec.untrusted
        return await run_marked(self._files.marks, place, lambda: self._supervised.run(job, place), declared=outside)

    async def cancel(self, attempt: str) -> None:
        """SIGTERM, then SIGKILL; what has not started will not."""
        await self._supervised.cancel(attempt)

    def _build(self, arguments: dict[str, Any], place: Workplace) -> spool.Command:
        name, program = self._spec.name, self._spec.program
        path, _, digest = program.rpartition("@")
        try:
            if program_now(self._workspace, program) != program:
                raise RefusedError(f"{name} cannot run", runner.CHANGED, "hand off: new work gets the new tool")
            home = str(self._files.workdir(place.role))
            most = self._spec.output_bytes_max
            job = {
                "path": str(self._workspace / path),
                "digest": digest,
                "function": name,
                "arguments": arguments,
                "bytes_max": most,
            }
            return spool.Command(
                argv=(sys.executable, "-I", "-X", "utf8", str(Path(runner.__file__).resolve())),
                cwd=home,
                env=credentials.environment(home, place, self._environ),
                executable_digest=spool.executable_digest(sys.executable),
                seconds_max=min(self._spec.seconds_max, place.seconds_max),
                output_bytes_max=2 * (most + _MARGIN_BYTES),  # the first half of it is kept whole
                limits=limits_of(place.reach),
                stdin=json.dumps(job),
            )
        except (TerminalError, OSError, ValueError) as error:
            raise RefusedError(f"{name} cannot run", str(error), _MEND) from error


def _result(name: str, ended: spool.Exit, output: str, mask: credentials.Mask, reach: Reach) -> ToolResult:
    said, _, text = output.partition("\n")
    text = mask.hide(text)
    if said not in {"ok", "failed"}:  # not the runner's word
        said, text = "", mask.hide(output)
    if ended.reason == "exited" and ended.code == 0 and said == "ok":
        return ToolResult(text=text)
    why = text if said == "failed" else text[-runner.LINE_MAX :].strip().rpartition("\n")[2]
    if limit := limit_hit(ended, text, reach):
        return failed(f"{name} was ended by a limit: {limit}", why or "it said nothing", f"do less; {LOOK_FIRST}")
    match ended.reason:
        case "exited" if said == "failed":
            return failed(f"{name} failed", why, f"change the arguments, or hand off; {LOOK_FIRST}")
        case "timeout":
            return failed(f"{name} was stopped after {ended.seconds:.0f} s", "it took too long", LOOK_FIRST)
        case "cancelled":
            ran = ended.code is not None or ended.signal is not None
            return failed(f"{name} was cancelled", "it had begun" if ran else "it did not run", LOOK_FIRST)
        case "refused" | "failed_to_start":
            return failed(f"{name} did not run", ended.message, _MEND)
        case _:
            how = f"exit {ended.code}" if ended.code is not None else f"killed by signal {ended.signal}"
            return failed(f"{name} did not finish: {how}", why or "it said nothing", LOOK_FIRST)
