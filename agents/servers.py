"""MCP servers as people write them: `servers` in team.yaml, rows of the grammar in manifest, under the same law; and
what becomes of one with the `.mcp.json` entry of its name.

Law: a server's tier, effect classes and allow-list come from here, never from the server. What it is started with is
named here, too: `${NAME}` is a setting, looked up when it is started, so that no secret is part of the definition.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from agents.rows import Positive
from core.model.errors import ConfigError
from core.model.team import EffectClass, Tier

SECONDS_MAX = 60
SETTING = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
"""`${NAME}`, or `${NAME:-what it is without}`."""
JOINT = "__"
"""Between a server's name and its tool's."""


class ServerToolRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a team says of one tool of a server; what is left out is as the server's row has it."""

    tier: Literal["read", "internal", "external", "financial", "infrastructure"] | None = None
    effect: Literal["read", "idempotent", "once"] | None = None
    resource: str = ""
    says: str = ""
    on_demand: bool | None = None
    seconds_max: Positive | None = None


class ServerRow(msgspec.Struct, frozen=True, kw_only=True):
    """`command` or `url`; with neither, those of `.mcp.json`."""

    command: tuple[str, ...] = ()
    url: str = ""
    transport: Literal["http", "sse"] = "http"
    env: tuple[str, ...] = ()
    headers: dict[str, str] = {}
    tier: Literal["read", "internal", "external", "financial", "infrastructure"] = "external"
    effect: Literal["read", "idempotent", "once"] = "once"
    allow: tuple[str, ...] | None = None
    on_demand: bool = False
    seconds_max: Positive = SECONDS_MAX
    tools: dict[str, ServerToolRow] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server, whole. `file` and `line` are where it stands. `env` and `headers` are templates of settings."""

    name: str
    file: str
    line: int = 0
    command: tuple[str, ...] = ()
    url: str = ""
    sse: bool = False
    folder: Path = field(default_factory=Path)
    env: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    row: ServerRow = field(default_factory=ServerRow)

    @property
    def shown(self) -> str:
        """How it is reached, without what may be secret: settings stay names, a URL loses its query and its user."""
        if not self.url:
            return " ".join(self.command)
        scheme, slashes, rest = self.url.partition("://")
        host, slash, path = rest.partition("?")[0].partition("/")
        return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"

    @property
    def settings(self) -> tuple[str, ...]:
        """The names of those it is started with."""
        texts = (*self.command, self.url, *self.env.values(), *self.headers.values())
        return tuple(dict.fromkeys(match[1] for text in texts for match in SETTING.finditer(text)))

    def allows(self, tool: str) -> bool:
        """Whether anybody may have this tool at all."""
        return self.row.allow is None or tool in self.row.allow

    def tier(self, tool: str) -> Tier:
        """Of the team's own words only."""
        row = self.row.tools.get(tool)
        return Tier(row.tier if row and row.tier else self.row.tier)

    def effect(self, tool: str) -> EffectClass:
        """The same."""
        row = self.row.tools.get(tool)
        return EffectClass(row.effect if row and row.effect else self.row.effect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a server is reached, with every setting in its place: for nobody to see."""

    command: tuple[str, ...]
    url: str
    env: Mapping[str, str]
    headers: Mapping[str, str]


def started(server: Server, settings: Mapping[str, str]) -> Start:
    """Raises ConfigError that names the settings that are missing."""
    missing: dict[str, None] = {}

    def full(text: str) -> str:
        def value(match: re.Match[str]) -> str:
            found = settings.get(match[1]) or match[2]
            if found is None:
                missing[match[1]] = None
            return found or ""

        return SETTING.sub(value, text)

    start = Start(
        command=tuple(full(word) for word in server.command),
        url=full(server.url),
        env={name: full(text) for name, text in server.env.items()},
        headers={name: full(text) for name, text in server.headers.items()},
    )
    if missing:
        names = ", ".join(missing)
        raise ConfigError(
            f"{names} of {server.name} is not set", file=server.file, line=server.line, expected="NAME=value in .env"
        )
    return start


def name_of(text: str) -> str:
    """A server's name as tools carry it: small letters, digits, - and _, at most 32, nothing that looks like JOINT."""
    plain = re.sub(r"_+", "_", re.sub(r"[^a-z0-9_-]", "-", text.lower())).strip("_-")[:32].rstrip("_-")
    return plain if plain[:1].isalpha() else f"s-{plain}"[:32].rstrip("_-")
