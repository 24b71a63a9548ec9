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
    _remembering(add)
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
        ("comment", "tell the agent something and leave it open", "TEXT"),
        ("snooze", "no reminders of it for a while", ""),
        ("extend", "more time to decide it", ""),
        ("dismiss", "let the agent go on without an answer; it is no denial", ""),
        ("withdraw", "take back your vote, or an approval that has not run", ""),
        ("override", "as an owner, decide alone, where the policy allows it", ""),
        ("always", "approve it, and propose to an owner that it need not be asked again", ""),
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
        if name in {"snooze", "extend"}:
            one.add_argument("span", metavar="SPAN", help="2h, 1d")
        if name in {"approve", "deny", "extend", "override"}:
            one.add_argument("--reason", metavar="T", default="", required=name in {"deny", "override"})
        if name == "approve":
            one.add_argument("--times", metavar="N", type=int, help="not only once, where the policy allows that")
            one.add_argument("--hours", metavar="H", type=float, help="with --times: for so long")
            where = "with --times: another value this argument may have, * for any that is listed"
            one.add_argument("--where", metavar="ARG=VALUE", action="append", default=[], help=where)
        if name == "always":
            one.add_argument("--until", metavar="DATE", default="", help="2026-01-31 (default: 30 days)")
    away = add("away", "you are away: no reminders")
    away.add_argument("span", metavar="SPAN|DATE", help="8h, 3d, 2026-12-24")
    away.add_argument("--delegate", metavar="PERSON", default="", help="who stands in for you, by id or name")
    add("back", "you are back")
    handback = add("handback", "let the team answer again where a person took over")
    handback.add_argument("place", metavar="PLACE", help="as `signoff inbox` names it; how it begins is enough")
    for name, about in (("cancel", "stop a task for good"), ("retry", "start a task that has ended once more")):
        add(name, about).add_argument("id", metavar="ID", help="the task; a prefix that is unique is enough")
    for name, about in (("stop", "start nothing more of it"), ("resume", "let it go on")):
        add(name, about).add_argument("scope", metavar="TASK|ROLE|all")


def _looking(add: _Add) -> None:
    reminders = add("reminders", "what roles have asked to be told later")
    reminders.add_argument("--cancel", metavar="ID", help="take one back")
    reminders.add_argument("--json", action="store_true", help=JSON_HELP)
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
    _agents(add("agents", "who is in the team: versions, cost, figures; and how to change them"))
    _servers(add("mcp", "MCP servers: their tools, and what of them people have accepted"))
    add("check", "is the team's definition right?")
    _testing(add("test", "does the team behave as its scenarios say?"))
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


def _testing(test: argparse.ArgumentParser) -> None:
    test.add_argument("path", metavar="FILE|DIR", nargs="?", help="default: agents/scenarios")
    models = ("offline", "recorded", "real")
    test.add_argument("--model", choices=models, help="default: recorded where there is a recording, else offline")
    test.add_argument("--record", action="store_true", help="play with the real model, and keep what it says")
    test.add_argument("--role", metavar="ROLE", help="only the scenarios that name this role")
    test.add_argument("--json", action="store_true", help=JSON_HELP)


def _agents(agents: argparse.ArgumentParser) -> None:
    what = agents.add_subparsers(dest="what", metavar="[new|history|diff|rollback|pin|unpin|rollout|adopt|cost|stats]")

    def one(name: str, about: str, role: str = "") -> argparse.ArgumentParser:
        made = what.add_parser(name, help=about, description=about, allow_abbrev=False)
        _everywhere(made, argparse.SUPPRESS, argparse.SUPPRESS)
        if role:
            made.add_argument("role", metavar="ROLE", nargs=role if role == "?" else None, default="")
        return made

    version = "digits of one that `signoff agents history` shows"
    one("new", "write a role: a folder, a row, and who gives it work", "1").add_argument(
        "--reports-to", metavar="ROLE", default="", help="default: the team's lead"
    )
    one("history", "versions: when, what changed, tasks that ran under each", "?")
    diff = one("diff", "what differs between versions, or between what is in force and the files", "1")
    diff.add_argument("a", metavar="VERSION", help=version, nargs="?", default="")
    diff.add_argument("b", metavar="VERSION", help=version, nargs="?", default="")
    one("rollback", "write a version's files back", "1").add_argument("version", metavar="VERSION", help=version)
    one("pin", "a version in force, whatever the files say", "1").add_argument(
        "version", metavar="VERSION", help=version
    )
    one("unpin", "what the files say is in force again", "1")
    rollout = one("rollout", "try a version on a share of new requests", "1")
    rollout.add_argument("version", metavar="VERSION|100|off", help="a version; for everybody; for nobody")
    rollout.add_argument("percent", metavar="PERCENT", type=int, nargs="?", help="1 to 99")
    one("adopt", "let a running request go on under today's definition").add_argument("id", metavar="TASK")
    one("cost", "tokens of each part of the prompt, and what a first call costs", "?")
    one("stats", "how each role does, and whether that changes", "?").add_argument(
        "--weeks", metavar="N", type=int, default=4, help="how far back (default: 4)"
    )


def _servers(servers: argparse.ArgumentParser) -> None:
    kinds = servers.add_subparsers(dest="what", metavar="list|show|add|trust|login", required=True)

    def one(name: str, about: str) -> argparse.ArgumentParser:
        made = kinds.add_parser(name, help=about, description=about, allow_abbrev=False)
        _everywhere(made, argparse.SUPPRESS, argparse.SUPPRESS)
        if name != "list":
            made.add_argument("name", metavar="NAME", help="the server")
        return made

    one("list", "every server that is named, and how it stands")
    one("show", "its tools, as agents see them")
    trust = one("trust", "look at what it offers now, and accept it")
    new = one("add", "name a server in .mcp.json, and accept what it offers")
    new.add_argument("--url", metavar="URL", default="", help="of a server that is reached over HTTP")
    new.add_argument("--env", metavar="SETTING", action="append", default=[], help="a setting that it is given")
    new.add_argument("words", metavar="-- COMMAND", nargs=argparse.REMAINDER, help="what starts it; options go first")
    for asking in (trust, new):
        asking.add_argument("--yes", action="store_true", help="accept it unseen")
    one("login", "log in to a server that asks for it, with a browser")


def _remembering(add: _Add) -> None:
    memory = add("memory", "what the team remembers")
    whats = memory.add_subparsers(dest="what", metavar="show|search|edit|import|forget", required=True)
    for what, about in (
        ("show", "as MEMORY.md"),
        ("search", "by words"),
        ("edit", "in your editor, and read back"),
        ("import", "read a MEMORY.md back"),
    ):
        one = whats.add_parser(what, help=about, allow_abbrev=False)
        _everywhere(one, argparse.SUPPRESS, argparse.SUPPRESS)
        one.add_argument("owner", metavar="ROLE", help="or team:NAME, or global")
        if what == "search":
            one.add_argument("words", metavar="WORD", nargs="+")
        if what == "import":
            one.add_argument("file", metavar="FILE")
    forget = whats.add_parser("forget", help="for good", allow_abbrev=False)
    _everywhere(forget, argparse.SUPPRESS, argparse.SUPPRESS)
    which = forget.add_mutually_exclusive_group(required=True)
    which.add_argument("--person", dest="of", metavar="NAME", help="all that is about them or comes from them")
    which.add_argument("--id", metavar="ID", help="one entry")
    bulletin = add("bulletin", "the team's board").add_subparsers(dest="what", metavar="show", required=True)
    show = bulletin.add_parser("show", help="the notices on it", allow_abbrev=False)
    _everywhere(show, argparse.SUPPRESS, argparse.SUPPRESS)
    show.add_argument("--archive", action="store_true", help="those of weeks that are over")
