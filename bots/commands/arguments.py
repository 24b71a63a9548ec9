"""What can be typed: every command, its arguments, its one line of help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Final, Never, TypeAlias

from bots.version import VERSION

_Add: TypeAlias = Callable[[str, str], argparse.ArgumentParser]
TIERS: Final = ("read", "internal", "external", "financial", "infrastructure")
ENDED: Final = ("approved", "denied", "answered", "dismissed", "superseded", "cancelled", "expired")
JSON_HELP: Final = "one JSON object a line (docs/cli.md)"


class _Parser(argparse.ArgumentParser):
    """Wrong usage is one line that says where to read on, and exit code 2."""

    def error(self, message: str) -> Never:
        print(f"signoff: {message}; see {self.prog} --help", file=sys.stderr)
        sys.exit(2)


def parser() -> argparse.ArgumentParser:
    """`workspace`, `person` and `command` are always there, the rest by command."""
    top = _Parser(
        prog="signoff",
        description="A team of agents that asks the right person before it acts.",
        epilog="Exit codes and JSON fields are promises: docs/cli.md lists them.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"signoff {VERSION}")
    _everywhere(top, ".", None)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, about: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=about, description=about, allow_abbrev=False)
        _everywhere(one, argparse.SUPPRESS, argparse.SUPPRESS)
        return one

    _working(add)
    _deciding(add)
    _looking(add)
    _keeping(add)
    return top


def _everywhere(one: argparse.ArgumentParser, workspace: str, person: str | None) -> None:
    one.add_argument("--workspace", metavar="DIR", default=workspace, help="the workspace (default: this folder)")
    one.add_argument("--as", dest="person", metavar="PERSON", default=person, help="who you are, by id in team.yaml")


def _working(add: _Add) -> None:
    init = add("init", "make a workspace")
    init.add_argument("dir", metavar="DIR")
    init.add_argument("--team", choices=("three", "twelve"), default="three", help="how many roles (default: three)")
    setup = add("setup", "bring the team to a chat platform, step by step")
    setup.add_argument("platform", choices=("telegram", "discord", "slack"))
    setup.add_argument("--check", action="store_true", help="only test what is set up")
    run = add("run", "open the team: on every chat platform that is set up, and in the terminal")
    run.add_argument("--debug", action="store_true", help="log more, texts of messages too")
    say = add("say", "give the team work")
    say.add_argument("text", metavar="TEXT", nargs="+", help="- reads it from standard input")
    say.add_argument("--to", metavar="ROLE", help="who takes it (default: the team's lead)")
    say.add_argument("--wait", action="store_true", help="until it has ended or waits for a person")


def _deciding(add: _Add) -> None:
    for name, about, text in (
        ("approve", "let it be done", ""),
        ("deny", "say no, and why", ""),
        ("answer", "answer a question", "TEXT"),
        ("edit", "change its arguments; it must then be approved as it is", "JSON"),
        ("askback", "ask the agent something before you decide", "TEXT"),
        ("dismiss", "let the agent go on without an answer; it is no denial", ""),
        ("withdraw", "take back your vote, or an approval that has not run", ""),
        ("happened", "of unknown outcome: it did happen", ""),
        ("rerun", "of unknown outcome: run it", ""),
        ("giveup", "of unknown outcome: leave it", ""),
    ):
        one = add(name, about)
        if name == "approve":
            one.add_argument("id", metavar="ID", nargs="+", help="several that you have seen: all of them, or none")
        else:
            one.add_argument("id", metavar="ID", help="the inquiry; a prefix that is unique is enough")
        if text:
            one.add_argument("text", metavar=text, nargs="+")
        if name in {"approve", "deny"}:
            one.add_argument("--reason", metavar="T", default="", required=name == "deny")
    for name, about in (("cancel", "stop a task for good"), ("retry", "start a task that has ended once more")):
        add(name, about).add_argument("id", metavar="ID", help="the task; a prefix that is unique is enough")
    for name, about in (("stop", "start nothing more of it"), ("resume", "let it go on")):
        add(name, about).add_argument("scope", metavar="TASK|ROLE|all")


def _looking(add: _Add) -> None:
    tasks = add("tasks", "what is going on")
    tasks.add_argument("--all", action="store_true", help="ever (default: the newest 100, and every open one)")
    tasks.add_argument("--json", action="store_true", help=JSON_HELP)
    task = add("task", "one task and all below it")
    task.add_argument("id", metavar="ID")
    task.add_argument("--json", action="store_true", help=JSON_HELP)
    inbox = add("inbox", "what waits for a person, oldest first")
    inbox.add_argument("--mine", action="store_true", help="only what you may decide now, and have not")
    inbox.add_argument("--overdue", action="store_true", help="only what is past its deadline")
    inbox.add_argument("--tier", choices=TIERS, default="", help="only what is of this tier")
    inbox.add_argument("--json", action="store_true", help=JSON_HELP)
    decisions = add("decisions", "what was decided: who, what, when, why; the latest first")
    decisions.add_argument("--who", metavar="PERSON", default="", help="who decided or voted, by id")
    decisions.add_argument("--what", metavar="TEXT", default="", help="words that occur in it, all of them")
    decisions.add_argument("--since", metavar="DATE", help="2026-01-31, or with a time: 2026-01-31T09:00")
    decisions.add_argument("--state", choices=ENDED, default="", help="how it ended")
    decisions.add_argument("-n", "--number", metavar="N", type=int, default=20, help="the last N (default: 20)")
    add("digest", "the day in a few lines, and the head of the audit chain")
    policy = add("policy", "what the policy says")
    kinds = policy.add_subparsers(dest="what", metavar="explain", required=True)
    explain = kinds.add_parser("explain", help="what would happen to a call, and why", allow_abbrev=False)
    explain.add_argument("--workspace", metavar="DIR", default=argparse.SUPPRESS, help="the workspace")
    explain.add_argument("tool", metavar="TOOL", help="as agents call it: run_command, write_file ...")
    explain.add_argument("arguments", metavar="ARGS_JSON", help='its arguments: \'{"command": "deploy", "args": {}}\'')
    explain.add_argument("--as", dest="role", metavar="ROLE", required=True, help="the role that calls it")
    explain.add_argument("--asked-by", metavar="PERSON", default="", help="who asked (default: nobody in person)")
    view = add("view", "the whole of an inquiry")
    view.add_argument("id", metavar="ID")
    view.add_argument("--json", action="store_true", help=JSON_HELP)


def _keeping(add: _Add) -> None:
    people = add("people", "who is in the team, and which accounts are theirs")
    what = people.add_subparsers(dest="what", metavar="[link PERSON|unlink ACCOUNT]")
    link = what.add_parser("link", help="a code that makes an account theirs", allow_abbrev=False)
    _everywhere(link, argparse.SUPPRESS, argparse.SUPPRESS)
    link.add_argument("who", metavar="PERSON", help="by id in team.yaml")
    unlink = what.add_parser("unlink", help="an account is nobody's from now on", allow_abbrev=False)
    _everywhere(unlink, argparse.SUPPRESS, argparse.SUPPRESS)
    unlink.add_argument("account", metavar="ACCOUNT", help="as `signoff people` shows it: slack:U01")
    add("check", "is the team's definition right?")
    add("doctor", "is this workspace well?")
    logs = add("logs", "what happened, readable")
    logs.add_argument("-f", "--follow", action="store_true", help="and what happens from now on")
    logs.add_argument("-n", "--lines", metavar="N", type=int, default=100, help="the last N (default: 100)")
    add("backup", "copy the database, in use or not").add_argument("file", metavar="FILE")
    add("restore", "put a backup in the database's place").add_argument("file", metavar="FILE")
    audit = add("audit", "the record of who decided what")
    kinds = audit.add_subparsers(dest="what", metavar="verify|export", required=True)
    verify = kinds.add_parser("verify", help="is the chain whole?", allow_abbrev=False)
    _everywhere(verify, argparse.SUPPRESS, argparse.SUPPRESS)
    verify.add_argument("--head", metavar="N:HASH", help="a head you wrote down earlier: it must still be there")
    export = kinds.add_parser("export", help="every row and every action, one JSON object a line", allow_abbrev=False)
    _everywhere(export, argparse.SUPPRESS, argparse.SUPPRESS)
    export.add_argument("--since", metavar="DATE", help="2026-01-31, or with a time: 2026-01-31T09:00")
    export.add_argument("--out", metavar="FILE", help="a new file instead of the terminal")
