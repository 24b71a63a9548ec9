"""`signoff setup PLATFORM`: bring the team to a chat platform, in plain lines that a screen reader can read.

Laws of this file. A token is never shown: not while it is typed, not in an error, not afterwards. What nobody could
vouch for is not kept: a token that works is never lost to one that does not. At a terminal or from a pipe, the same.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import bots
from bots import platforms
from bots.app import Workspace, read_environment, write_environment
from bots.commands.place import refuse_inside_a_run, run_async, workspace_of
from bots.platforms import Finding, Known
from core.model.errors import TerminalError

MANIFEST: Final = Path(bots.__file__).parent / "slack" / "manifest.json"
RIGHTS: Final = (
    "It asks for: View Channels, Send Messages, Embed Links, Attach Files, Read Message\n"
    "History, Create Public Threads, Send Messages in Threads."
)
STEPS: Final = {
    "telegram": """\
Telegram, in three steps:
  1. In Telegram, open a chat with @BotFather and send /newbot. It asks for a name
     and a username, and answers with a token like 123456:ABC-DEF.
  2. For groups: send /setprivacy to @BotFather, choose the bot, then Disable. With
     privacy on, the bot hears only commands and replies to it; in private chats
     it always hears everything. A group it is in already must add it again.
  3. Give the token here.""",
    "discord": """\
Discord, in four steps:
  1. Open https://discord.com/developers/applications, New Application, name it.
  2. Under Bot, press Reset Token and copy the token.
  3. On the same page, under Privileged Gateway Intents, switch on Message Content
     Intent and save: without it the bot sees only messages that mention it.
  4. Give the token here; the link that invites the bot comes next.""",
    "slack": """\
Slack, in four steps:
  1. Open https://api.slack.com/apps, Create New App, From a manifest, choose the
     workspace, JSON, and paste this ({path}):

{manifest}
  2. Under Basic Information, App-Level Tokens: Generate Token and Scopes, add
     connections:write. That token begins with xapp-.
  3. Under Install App: Install to Workspace. The Bot User OAuth Token begins with
     xoxb-.
  4. Give both here.""",
}
BEGINS: Final = {"SLACK_BOT_TOKEN": "xoxb-", "SLACK_APP_TOKEN": "xapp-"}
"""Slack has many tokens that look alike, and taking one for another is the usual mistake."""
INVITE_STEP: Final = {
    "telegram": "open the bot's chat in Telegram and press Start, or add it to a group",
    "discord": "invite the bot to a server with the link above",
    "slack": "in Slack, open the app's messages, or /invite it to a channel",
}


def setup(parsed: argparse.Namespace) -> int:
    """Walk through it, or with --check only test it. Exit code 1 if anything needs a hand."""
    refuse_inside_a_run()
    known, workspace = platforms.named(parsed.platform), workspace_of(parsed)
    workspace.make()
    platforms.require_library(known)
    settings = read_environment(workspace, os.environ)
    if parsed.check:
        platforms.require(known, settings)
        return 0 if _show(_examine(known, settings)) else 1
    print(_steps(known))
    return _keep(known, workspace, settings, _ask_all(known, settings))


def _steps(known: Known) -> str:
    if known.name != "slack":
        return STEPS[known.name]
    return STEPS["slack"].format(path=MANIFEST, manifest=MANIFEST.read_text("utf-8").rstrip())


# --- Asking ---------------------------------------------------------------------------------------------------------


def _ask_all(known: Known, settings: Mapping[str, str]) -> dict[str, str]:
    """What was typed; Enter keeps what is there. Raises TerminalError."""
    given = {}
    for name in known.asks:
        there = settings.get(name, "")
        print(flush=True)
        typed = _ask(f"{name} ({'Enter: keep the one that is there' if there else 'it is not shown'}): ")
        if not (typed or there):
            raise TerminalError(f"no {name} was given, nothing was changed", f"signoff setup {known.name}")
        begins = BEGINS.get(name, "")
        if typed and not typed.startswith(begins):
            raise TerminalError(f"a {name} begins with {begins}, nothing was changed", f"signoff setup {known.name}")
        if typed:
            given[name] = typed
    return given


def _ask(question: str) -> str:
    """Never shown while it is typed. Without a terminal: the next line of the input."""
    if sys.stdin.isatty():
        from getpass import getpass  # noqa: PLC0415

        try:
            return getpass(question).strip()
        except EOFError:
            return ""
    print(question, flush=True)
    return sys.stdin.readline().strip()


# --- Testing and keeping --------------------------------------------------------------------------------------------


def _examine(known: Known, settings: Mapping[str, str]) -> tuple[Finding, ...]:
    found: list[Finding] = []

    async def examine() -> int:
        found.extend(await platforms.examine(known, settings))
        return 0

    run_async(examine())
    return tuple(found)


def _show(findings: tuple[Finding, ...]) -> bool:
    for good, line in findings:
        print(f"{'ok' if good else '--'}  {line}")
    return all(good for good, _ in findings)


def _keep(known: Known, workspace: Workspace, settings: Mapping[str, str], given: Mapping[str, str]) -> int:
    """Test it as it would be, and keep it if the platform knows it. Raises TerminalError, OSError."""
    new = {**settings, **given}
    print(f"\nAsking {known.title} ...", flush=True)
    findings = _examine(known, new)
    well = _show(findings)
    if not any(good for good, _ in findings):
        raise TerminalError("nothing was changed in .env", f"mend that, then `signoff setup {known.name}` again")
    if known.name == "discord":
        _invite(new["DISCORD_BOT_TOKEN"])
    if given:
        write_environment(workspace, given)
        print(f"kept {', '.join(given)} in {workspace.env}, which only you can read")
    for name in given:
        if os.environ.get(name) not in {None, given[name]}:
            print(f"--  the environment has another {name}, and it goes before .env: unset it")
            well = False
    print(f"next: {INVITE_STEP[known.name]}; then `signoff run`,")
    print(f"and send {known.pair} with the code it prints")
    if not well:
        print(f"when what is marked -- is mended: `signoff setup {known.name} --check`")
    return 0 if well else 1


def _invite(token: str) -> None:
    """The link, with the rights the bot uses and no others."""
    from bots.discord.forms import invite_url  # noqa: PLC0415 - nobody else needs it

    application = _application_of(token)
    print("\nTo invite the bot to a server, open this link:")
    print(f"  {invite_url(application or 'APPLICATION_ID')}")
    if not application:
        print("with the Application ID (under General Information) in its place")
    print(RIGHTS + "\n")


def _application_of(token: str) -> str:
    """A bot's token begins with its id in base64, which is its application's; "" for one that does not."""
    first = token.partition(".")[0]
    try:
        found = base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""
    return found if found.isdecimal() else ""
