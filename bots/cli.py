"""The command line: thin. Each command calls one function; what goes wrong becomes one line and an exit code.

Laws of this file. Nothing is imported before it is needed: the version prints without so much as argparse. No error
ends in a traceback: that goes to the log. Exit codes are a promise (docs/cli.md).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

from bots.version import VERSION

if TYPE_CHECKING:
    import argparse


class Exit(IntEnum):
    """docs/cli.md, Exit codes."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    RUNNING = 3
    NOT_ALLOWED = 4
    WORKSPACE = 5
    BUG = 70  # EX_SOFTWARE of sysexits(3)
    INTERRUPTED = 130
    PIPE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words == ["--version"]:
        print(f"signoff {VERSION}")
        return Exit.OK
    workspace = "."
    try:
        from bots.commands.arguments import parser

        parsed = parser().parse_args(words)
        workspace = parsed.workspace
        code = _command(parsed)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has left; without this the interpreter complains once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.PIPE
    except Exception as error:  # noqa: BLE001 - the outermost place: a line for the person, the trace for the log
        return _explain(_first(error), workspace)


def _command(parsed: argparse.Namespace) -> int:
    match parsed.command:
        case "init" | "check" | "logs" | "backup" | "restore":
            return _keep(parsed)
        case "test":
            from bots.commands import testing

            return testing.test(parsed)
        case "doctor":
            from bots.commands import doctor

            return doctor.doctor(parsed)
        case "setup":
            from bots.commands import setup

            return setup.setup(parsed)
        case "people":
            from bots.commands import people

            return people.people(parsed)
        case "agents":
            from bots.commands import agents

            return agents.agents(parsed)
        case "memory":
            from bots.commands import remembering

            return remembering.memory(parsed)
        case "bulletin":
            from bots.commands import remembering

            return remembering.bulletin(parsed)
        case "policy":
            from bots.commands import policy

            return policy.policy(parsed)
        case "mcp":
            from bots.commands import mcp

            return mcp.mcp(parsed)
        case "audit":
            from bots.commands import auditing

            return auditing.audit(parsed)
        case "run":
            from bots.commands import running

            return running.run(parsed)
        case "tasks" | "task" | "inbox" | "view" | "decisions" | "digest":
            from bots.commands import looking

            return looking.look(parsed)
        case "reminders":
            from bots.commands import reminders

            return reminders.reminders(parsed)
        case "say":
            from bots.commands import saying

            return saying.say(parsed)
        case _:
            from bots.commands import ordering

            return ordering.order(parsed)


def _keep(parsed: argparse.Namespace) -> int:
    from bots.commands import keeping

    match parsed.command:
        case "init":
            return keeping.init(parsed)
        case "check":
            return keeping.check(parsed)
        case "logs":
            return keeping.logs(parsed)
        case "backup":
            return keeping.backup(parsed)
        case _:
            return keeping.restore(parsed)


def _first(error: BaseException) -> BaseException:
    """A task group wraps what went wrong in it; a person reads one reason."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _explain(error: BaseException, workspace: str) -> int:
    from core.model.errors import (
        ConfigError,
        DeniedError,
        EngineRunningError,
        SignoffError,
        StoreFullError,
        StoreRefusedError,
    )

    match error:
        case EngineRunningError():
            code = Exit.RUNNING
        case DeniedError():
            code = Exit.NOT_ALLOWED
        case ConfigError() | StoreRefusedError() | StoreFullError():
            code = Exit.WORKSPACE
        case SignoffError():
            from bots.commands.place import UsageError

            code = Exit.USAGE if isinstance(error, UsageError) else Exit.REFUSED
        case OSError():
            named = f"{error.filename}: " if error.filename else ""
            print(f"signoff: {named}{error.strerror or error}", file=sys.stderr)
            return Exit.WORKSPACE
        case _:
            from bots.commands.place import record

            print(f"signoff: {record(workspace, error)}", file=sys.stderr)
            return Exit.BUG
    for line in str(error).splitlines():
        print(f"signoff: {line}", file=sys.stderr)
    return code
