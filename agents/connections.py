"""Which MCP servers a workspace has: `servers` of team.yaml, `.mcp.json` and `agents/.mcp.json`, put together, checked.

Law: team.yaml says more, never less: an entry of `.mcp.json` is read as other programs wrote it, with this program's
defaults, and the row of its name in team.yaml goes before. What a server offers is what was pinned, and nothing here
asks a server anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from agents.checks import LEAD_TOOLS, leads_of
from agents.folders import Findings
from agents.manifest import BYTES_MAX, Document, Manifest, read_file
from agents.prompts import tokens
from agents.servers import JOINT, Server, ServerRow, name_of
from agents.tools import programs
from agents.tools.mcp.pins import Pin, Pins, called
from core.model.team import ToolSpec

TEAM: Final = "agents/team.yaml"
FILES: Final = (".mcp.json", "agents/.mcp.json")
PINS: Final = ".signoff/mcp"
TOKENS_WARN: Final = 8_000
_HTTP: Final = {"http", "streamable-http", "streamable_http", "streamableHttp"}
_LOOPBACK: Final = re.compile(r"http://(localhost|127\.[\d.]+|\[::1\])([:/]|$)")
_URL: Final = re.compile(r"https?://[^\s/]+(/\S*)?|\$\{.*")


def with_servers(
    document: Document[Manifest], workspace: Path, found: Findings
) -> tuple[Document[Manifest], dict[str, ToolSpec]]:
    """The same with every role's tools written out, and the tools there are of servers."""
    servers = servers_of(document, workspace, found)
    specs = specs_of(servers, Pins(workspace / PINS), found)
    whole = expanded(document, servers, specs, found)
    _check_sizes(whole, specs, found)
    return whole, specs


def _check_sizes(document: Document[Manifest], specs: Mapping[str, ToolSpec], found: Findings) -> None:
    """Every request of a role carries its tools."""
    for n, role in enumerate(document.value.roles if document.value else ()):
        shown = [specs[name] for name in role.tools.allow if name in specs and not specs[name].on_demand]
        size = sum(tokens(spec.about) + tokens(msgspec.json.encode(spec.parameters).decode()) for spec in shown)
        if size > TOKENS_WARN:
            what = f"servers' tools are {size} tokens of every request of {role.id}: allow fewer, or on_demand: true"
            found.notice(what, file=document.file, line=document.line("roles", n, "tools", "allow"))


def configured(workspace: Path, *, everything: bool = False) -> dict[str, Server]:
    """Those a role may use; with `everything`, all that are named. Raises ConfigError, the first there is."""
    found = Findings()
    document = read_file(workspace / TEAM, TEAM, Manifest)
    if document.errors:
        raise document.errors[0]
    servers = servers_of(document, workspace, found, everything=everything)
    if found.errors:
        raise found.errors[0]
    return servers


def servers_of(
    document: Document[Manifest], workspace: Path, found: Findings, *, everything: bool = False
) -> dict[str, Server]:
    """Those a role may use, by name, in the order of the names; with `everything`, the others too."""
    assert document.value is not None  # noqa: S101 - the caller has looked
    rows = document.value.servers
    there: dict[str, Server] = {}
    for file in FILES:
        for server in _file(workspace, file, found):
            if server.name in there:
                other = there[server.name].file
                found.notice(f"{server.name} is in {other}, too, which goes before", file=file, line=server.line)
            there.setdefault(server.name, server)
    for name, row in rows.items():
        merged = _merged(document, name, row, there.get(name), workspace, found)
        if merged is not None:
            there[name] = merged
    named = _named(document.value)
    for name, server in there.items():
        _check_safe(server, workspace, found)
        if name not in named:
            found.notice(f"no role may use {name}: it is not started", file=server.file, line=server.line)
    return {name: there[name] for name in sorted(there) if everything or name in named}


def _check_safe(server: Server, workspace: Path, found: Findings) -> None:
    """What agents write must not be what runs, and what is secret must not go in the clear."""
    for part in (part for part in server.command if "/" in part):
        path = server.folder / part
        if programs.is_writable_by_agents(workspace, path) and not path.is_dir():  # a folder is something to work on
            what = f"{part} of {server.name} lies in files/, where agents write"
            found.fail(what, "a file elsewhere", file=server.file, line=server.line)
    if server.command and programs.is_writable_by_agents(workspace, server.folder):
        what = f"{server.name} runs in files/, where agents write"
        found.fail(what, "another folder", file=server.file, line=server.line)
    if server.url.startswith("http://") and not _LOOPBACK.match(server.url):
        found.notice(f"{server.name} is spoken to without TLS", file=server.file, line=server.line)


def _named(manifest: Manifest) -> set[str]:
    return {tool.partition(JOINT)[0] for row in manifest.roles for tool in row.tools.allow if JOINT in tool}


def _merged(
    document: Document[Manifest], name: str, row: ServerRow, there: Server | None, workspace: Path, found: Findings
) -> Server | None:
    at = document.line("servers", name)

    def fail(what: str, expected: str, *path: str | int) -> None:
        found.fail(what, expected, file=document.file, line=document.line("servers", name, *path))

    if name != name_of(name):
        fail(f"{name!r} cannot be a server's name", "small letters, digits and -, and _ only between them")
    if row.command and row.url:
        fail(f"{name} has a command and a url", "one of them", "url")
    if not (row.command or row.url or there):
        fail(f"{name} has no command and no url", "one of them, or the same name in .mcp.json")
        return None
    if row.url and not _URL.fullmatch(row.url):
        fail(f"{name}: no URL", "http:// or https://", "url")
    if row.headers and not (row.url or (there and there.url)):
        fail(f"{name} has headers and no url", "env for a command", "headers")
    for tool in row.tools:
        if row.allow is not None and tool not in row.allow:
            found.notice(f"{tool} is not in allow", file=document.file, line=document.line("servers", name, "tools"))
    given = {setting: f"${{{setting}}}" for setting in row.env}
    if row.command or row.url or there is None:
        return Server(
            name=name,
            file=document.file,
            line=at,
            command=row.command,
            url=row.url,
            sse=row.transport == "sse",
            folder=workspace,
            env=given,
            headers=row.headers,
            row=row,
        )
    return Server(
        name=name,
        file=document.file,
        line=at,
        command=there.command,
        url=there.url,
        sse=there.sse,
        folder=there.folder,
        env={**there.env, **given},
        headers={**there.headers, **row.headers},
        row=row,
    )


# --- .mcp.json ------------------------------------------------------------------------------------------------------


def _file(workspace: Path, file: str, found: Findings) -> Iterator[Server]:
    try:
        raw = (workspace / file).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        found.fail(f"cannot be read ({error.strerror})", "a readable file", file=file)
        return
    if len(raw) > BYTES_MAX:
        found.fail(f"has {len(raw)} bytes", f"at most {BYTES_MAX}", file=file)
        return
    try:
        text = raw.decode("utf-8")
        whole = json.loads(text)
    except (UnicodeDecodeError, RecursionError):
        found.fail("is not JSON in UTF-8", '{"mcpServers": {...}}', file=file)
        return
    except json.JSONDecodeError as error:
        found.fail(f"not JSON ({error.msg})", '{"mcpServers": {...}}', file=file, line=error.lineno)
        return
    entries = whole.get("mcpServers") if isinstance(whole, dict) else None
    if not isinstance(entries, dict):
        found.fail("names no servers", '{"mcpServers": {"NAME": {"command": "..."}}}', file=file, line=1)
        return
    for name, entry in entries.items():
        line = _line(text, name)
        server = _entry(name, entry, file, line, workspace)
        if isinstance(server, str):
            found.fail(f"{name[:60]}: {server}", 'a "command" with "args" and "env", or a "url"', file=file, line=line)
        elif server is not None:
            yield server


def _line(text: str, name: str) -> int:
    """Where a key is written first; JSON readers keep no lines."""
    at = re.search(re.escape(json.dumps(name, ensure_ascii=False)) + r"\s*:", text)
    return text.count("\n", 0, at.start()) + 1 if at else 1


def _entry(name: str, entry: Any, file: str, line: int, workspace: Path) -> Server | str | None:
    """What other programs wrote; keys that mean nothing here are theirs. None for one they have switched off."""
    if not isinstance(entry, dict):
        return "a mapping is missing"
    if entry.get("disabled") is True:
        return None
    command, args = entry.get("command", ""), entry.get("args", [])
    url, env, headers = entry.get("url", ""), entry.get("env") or {}, entry.get("headers") or {}
    if not isinstance(command, str) or not isinstance(args, list) or not all(isinstance(a, str) for a in args):
        return "command is no text, or args is no list of texts"
    for mapping in (env, headers):
        if not isinstance(mapping, dict) or not all(isinstance(value, str) for value in mapping.values()):
            return "env or headers is no mapping of texts"
    if not isinstance(url, str) or bool(command) == bool(url):
        return "it has neither a command nor a url, or both"
    kind = entry.get("type", "http" if url else "stdio")
    if url and (kind not in _HTTP | {"sse"} or not _URL.fullmatch(url)):
        return "a type that is not known, or no URL"
    folder = entry.get("cwd", "")
    return Server(
        name=name_of(name),
        file=file,
        line=line,
        command=(command, *args) if command else (),
        url=url,
        sse=kind == "sse",
        folder=workspace / folder if isinstance(folder, str) else workspace,
        env=env,
        headers=headers,
    )


# --- What roles may call --------------------------------------------------------------------------------------------


def specs_of(servers: Mapping[str, Server], pins: Pins, found: Findings) -> dict[str, ToolSpec]:
    """Every pinned tool that is allowed, under the name agents call it by."""
    specs: dict[str, ToolSpec] = {}
    for name, server in servers.items():
        pin = pins.read(name)
        if pin is None:
            waits = f"{name} is not pinned yet: `signoff mcp trust {name}`, or the next `signoff run`, which pins it"
            found.notice(waits, file=server.file, line=server.line)
            continue
        specs |= _specs(server, pin, found)
    return specs


def _specs(server: Server, pin: Pin, found: Findings) -> dict[str, ToolSpec]:
    known = {tool.name for tool in pin.tools}
    for missing in (*(server.row.allow or ()), *server.row.tools):
        if missing not in known:
            found.notice(f"{server.name} offers no tool {missing}", file=server.file, line=server.line)
    specs: dict[str, ToolSpec] = {}
    for name, tool in called(server.name, pin).items():
        if tool.refused or not server.allows(tool.name):
            continue
        row = server.row.tools.get(tool.name)
        for place in programs.PLACE.findall(f"{row.resource} {row.says}" if row else ""):
            if place not in tool.parameters.get("properties", {}):
                found.notice(f"{{{place}}} names no argument of {tool.name}", file=server.file, line=server.line)
        specs[name] = ToolSpec(
            name=name,
            about=tool.fenced(server.name),
            parameters=tool.parameters,
            tier=server.tier(tool.name),
            effect=server.effect(tool.name),
            verb=tool.name,
            resource=(row.resource if row else "") or f"mcp:{server.name}",
            says=(row.says if row else "") or f"Calls {tool.name} of {server.name}",
            seconds_max=(row.seconds_max if row else None) or server.row.seconds_max,
            untrusted=True,
            on_demand=row.on_demand if row and row.on_demand is not None else server.row.on_demand,
        )
    return specs


def expanded(
    document: Document[Manifest], servers: Mapping[str, Server], specs: Mapping[str, ToolSpec], found: Findings
) -> Document[Manifest]:
    """The same, with `SERVER__*` of every role's lists written out, and without what a known server does not offer:
    what a server has must not keep a team from loading. Every word keeps its line.
    """
    manifest = document.value
    assert manifest is not None  # noqa: S101 - the caller has looked
    new: Document[Manifest] = Document(document.file)
    new.errors, new.lines = document.errors, dict(document.lines)
    leads, roles = leads_of(manifest), []
    for n, role in enumerate(manifest.roles):
        lists: dict[str, tuple[str, ...]] = {}
        for key in ("allow", "deny"):
            names: list[str] = []
            for m, tool in enumerate(getattr(role.tools, key)):
                line = document.line("roles", n, "tools", key, m)
                if key == "allow" and role.id in leads and tool.partition(JOINT)[0] in servers:
                    what = f"{role.id} leads, and {tool} is a tool to work with"
                    found.fail(what, f"only {', '.join(sorted(LEAD_TOOLS))}", file=document.file, line=line)
                    continue
                for name in _meant(tool, servers, specs, document.file, line, found):
                    new.lines["roles", n, "tools", key, len(names)] = line
                    names.append(name)
            lists[key] = tuple(names)
        tools = msgspec.structs.replace(role.tools, **lists)
        roles.append(msgspec.structs.replace(role, tools=tools))
    rows = {
        name: row for name, row in manifest.tools.items() if name.partition(JOINT)[0] not in servers or name in specs
    }
    for name in manifest.tools.keys() - rows.keys():
        found.notice(f"{name} is not offered", file=document.file, line=document.line("tools", name))
    new.value = msgspec.structs.replace(manifest, roles=tuple(roles), tools=rows)
    return new


def _meant(
    tool: str, servers: Mapping[str, Server], specs: Mapping[str, ToolSpec], file: str, line: int, found: Findings
) -> tuple[str, ...]:
    server, joint, rest = tool.partition(JOINT)
    if not joint or server not in servers or tool in specs:
        return (tool,)
    offered = tuple(name for name in specs if name.startswith(server + JOINT))
    if rest == "*":
        return offered
    if offered:
        found.notice(f"{server} offers no tool {rest}: nobody can use {tool}", file=file, line=line)
    return ()
