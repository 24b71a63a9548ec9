"""`signoff mcp`: the MCP servers of a workspace, what they offer, and what of that a person has accepted.

Law: a pin is changed by a person who has seen what changes, or who said beforehand that they accept it (`--yes`). What
a server says is shown as it is kept: bounded, without hidden characters. Agents cannot run any of this.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from agents.connections import FILES, PINS, configured
from agents.servers import Server, name_of
from agents.tools.mcp import hub, pins
from agents.tools.mcp.pins import Pin
from agents.tools.mcp.speech import EndedError, LoginNeededError
from bots.app import Workspace, read_environment, set_up_log
from bots.commands.place import UsageError, refuse_inside_a_run, run_async, workspace_of
from core.adapters.system import SystemClock
from core.model.errors import ConfigError, TerminalError

ASK_SECONDS = 60.0
DIFF_LINES_MAX = 400


def mcp(parsed: argparse.Namespace) -> int:
    """One of its subcommands. Raises SignoffError, OSError."""
    refuse_inside_a_run()
    workspace = workspace_of(parsed)
    workspace.make()
    set_up_log(workspace)
    places = hub.Places(folder=workspace.root / PINS, environ=read_environment(workspace, os.environ))
    match parsed.what:
        case "list":
            return _list(workspace, places)
        case "show":
            return _show(_named(workspace, parsed.name), places)
        case "add":
            return run_async(_add(workspace, parsed, places))
        case "login":
            return run_async(_login(_named(workspace, parsed.name), places))
        case _:
            return run_async(_trust(_named(workspace, parsed.name), places, yes=parsed.yes))


def _named(workspace: Workspace, name: str) -> Server:
    servers = configured(workspace.root, everything=True)
    if name not in servers:
        known = ", ".join(servers) or "none: `signoff mcp add` adds one"
        raise TerminalError(f"there is no server {name[:40]}", f"known are: {known}")
    return servers[name]


# --- Looking --------------------------------------------------------------------------------------------------------


def _list(workspace: Workspace, places: hub.Places) -> int:
    servers = configured(workspace.root, everything=True)
    used = configured(workspace.root)
    for name, server in servers.items():
        pin = places.pins.read(name)
        state = "not pinned" if pin is None else pins.summary(pin, _allowed_n(server, pin)).partition(": ")[2]
        print(f"{name}: {server.shown}")
        print(f"  {state}; {server.row.tier}, {server.row.effect}; from {server.file}")
        missing = [setting for setting in server.settings if not places.environ.get(setting)]
        if missing:
            print(f"  not set: {', '.join(missing)}")
        if name not in used:
            print(f"  no role may use it: name {name}__* or one of its tools in a role's tools.allow")
    if not servers:
        print("none: name one in .mcp.json or in team.yaml, or `signoff mcp add NAME -- COMMAND`")
    return 0


def _allowed_n(server: Server, pin: Pin) -> int:
    return sum(not tool.refused and server.allows(tool.name) for tool in pin.tools)


def _show(server: Server, places: hub.Places) -> int:
    pin = places.pins.read(server.name)
    if pin is None:
        raise TerminalError(f"{server.name} is not pinned yet", f"`signoff mcp trust {server.name}`")
    for name, tool in pins.called(server.name, pin).items():
        allowed = not tool.refused and server.allows(tool.name)
        print(f"{name}: {f'{server.tier(tool.name)}, {server.effect(tool.name)}' if allowed else 'nobody may use it'}")
        for line in pins.described(tool)[1:]:
            print(f"  {line}")
    return 0


# --- Accepting ------------------------------------------------------------------------------------------------------


async def _trust(server: Server, places: hub.Places, *, yes: bool) -> int:
    old, new = places.pins.read(server.name), await _offered(server, places)
    if old is not None and old.digest == new.digest:
        print(f"{pins.summary(new, _allowed_n(server, new))}; as pinned")
        return 0
    if not _accepted(server, old, new, yes=yes):
        return 1
    places.pins.write(new)
    print(f"pinned; {pins.summary(new, _allowed_n(server, new))}")
    return 0


async def _offered(server: Server, places: hub.Places) -> Pin:
    """What it lists now. Raises TerminalError, ConfigError."""
    try:
        async with asyncio.timeout(ASK_SECONDS), hub.connected(server, places, SystemClock()) as live:
            return pins.offered(server.name, await live.tools())
    except TimeoutError:
        raise TerminalError(f"{server.name}: it does not answer") from None
    except LoginNeededError as error:
        raise TerminalError(f"{server.name}: {error}", f"`signoff mcp login {server.name}`") from error
    except EndedError as error:
        raise TerminalError(f"{server.name}: {error}") from error


def _accepted(server: Server, old: Pin | None, new: Pin, *, yes: bool) -> bool:
    print(f"{server.name} ({server.shown}) says of itself, which nobody has checked:")
    lines = pins.difference(old, new)
    for line in lines[:DIFF_LINES_MAX]:
        print(f"  {line}")
    if len(lines) > DIFF_LINES_MAX:
        print(f"  ... and {len(lines) - DIFF_LINES_MAX} lines more: it is too much to have been read")
    if yes:
        return True
    print("Accept it as it is? [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() in {"y", "yes"}:
        return True
    print("nothing was changed")
    return False


async def _add(workspace: Workspace, parsed: argparse.Namespace, places: hub.Places) -> int:
    """Into `.mcp.json`, once it has answered and a person has accepted it."""
    name, path = parsed.name, workspace.root / FILES[0]
    words = _words(parsed)
    if name != name_of(name):
        raise UsageError(f"{name[:40]} cannot be a server's name", f"{name_of(name)} can")
    if bool(parsed.url) == bool(words):
        raise UsageError("a server has a command or a URL", "signoff mcp add NAME -- COMMAND ..., or --url URL")
    if name in configured(workspace.root, everything=True):
        raise TerminalError(f"there is a server {name} already", f"`signoff mcp trust {name}`, or another name")
    entry: dict[str, Any] = (
        {"type": "http", "url": parsed.url} if parsed.url else {"command": words[0], "args": words[1:]}
    )
    if parsed.env and not parsed.url:
        entry["env"] = {setting: f"${{{setting}}}" for setting in parsed.env}
    server = Server(
        name=name,
        file=FILES[0],
        command=tuple(words),
        url=parsed.url,
        folder=workspace.root,
        env=entry.get("env", {}),
    )
    whole = _entries(path)
    new = await _offered(server, places)
    if not _accepted(server, None, new, yes=parsed.yes):
        return 1
    whole.setdefault("mcpServers", {})[name] = entry
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", "utf-8")
    temporary.replace(path)
    places.pins.write(new)
    print(f"added to {FILES[0]} and pinned; {pins.summary(new, _allowed_n(server, new))}")
    print(f"next: name {name}__* or one of its tools in a role's tools.allow, in agents/team.yaml")
    return 0


def _words(parsed: argparse.Namespace) -> list[str]:
    """What starts it. Options between the name and that are read here, because argparse does not."""
    left: list[str] = list(parsed.words)
    while left:
        match left:
            case ["--yes", *left]:
                parsed.yes = True
            case ["--url", url, *left]:
                parsed.url = url
            case ["--env", setting, *left]:
                parsed.env = [*parsed.env, setting]
            case ["--", *left]:
                return left
            case [word, *_] if word.startswith("-"):
                raise UsageError(f"{word[:40]} is not understood", "signoff mcp add NAME -- COMMAND ...")
            case _:
                return left
    return left


def _entries(path: Path) -> dict[str, Any]:
    """What is there; `configured` has found it readable."""
    found = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    if not isinstance(found, dict):
        raise ConfigError("names no servers", file=FILES[0], expected='{"mcpServers": {...}}')
    return found


async def _login(server: Server, places: hub.Places) -> int:
    if not server.url:
        raise TerminalError(f"{server.name} is a program on this machine", "logins are for servers with a url")

    def show(url: str) -> None:
        print(f"Open this in a browser on this machine, and log in:\n\n  {url}\n", flush=True)

    try:
        asked = await hub.log_in(server, places, SystemClock(), show)
    except EndedError as error:
        raise TerminalError(f"{server.name}: {error}", "nothing was changed") from error
    print(f"{server.name}: logged in" if asked else f"{server.name}: it asks for no login")
    return 0
