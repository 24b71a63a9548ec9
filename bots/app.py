"""The composition root: the only place that knows every adapter. Configuration is read once, here.

`Workspace` names the places of a workspace, `House` opens what runs in it. A platform, a vendor or a library that is
not used is not imported.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import msgspec

from agents.amending import FileLaws
from agents.connections import PINS, configured
from agents.redaction import Redactor
from agents.source import FileTeamSource
from agents.tools import Equipment, registry
from agents.tools.commands import CommandResolver
from agents.tools.fetching import FetchUrl
from agents.tools.mcp.hub import Hub, Places
from agents.tools.memory import Notebook
from agents.tools.spool import Spool
from bots import platforms, scheduling
from bots.shelf import WorkspaceShelf
from bots.version import VERSION
from core.adapters.models.anthropic import AnthropicModel
from core.adapters.models.offline import OfflineModel
from core.adapters.models.openai import OpenAIModel
from core.adapters.models.resilient import Resilient
from core.adapters.sqlite.lock import EngineLock
from core.adapters.sqlite.store import SqliteStore
from core.adapters.system import LocalBus, SystemClock, SystemIds
from core.model.editions import Edition
from core.model.errors import ConfigError, StoreRefusedError, TerminalError
from core.model.team import Team
from core.model.unit import SetMeta, Unit
from core.ports import ModelProvider, Platform, Tool
from core.runtime import reloading
from core.runtime.context import Context
from core.runtime.engine import Engine
from core.runtime.intake import StoreIntake
from core.runtime.reminders import StoreReminders
from core.runtime.status import Status


@dataclass(frozen=True, slots=True)
class Workspace:
    """The places of one workspace (ARCHITECTURE.md, A workspace)."""

    root: Path

    @property
    def state(self) -> Path:
        """Database, spool, logs, backups, lock."""
        return self.root / ".signoff"

    @property
    def database(self) -> Path:
        """The one file with the truth in it."""
        return self.state / "signoff.db"

    @property
    def spool(self) -> Path:
        """Records of commands, which outlive the engine."""
        return self.state / "spool"

    @property
    def backups(self) -> Path:
        """Earlier versions of what governs agents."""
        return self.state / "backups"

    @property
    def env(self) -> Path:
        """Secrets and settings, for nobody but who owns the workspace."""
        return self.root / ".env"

    @property
    def files(self) -> Path:
        """What agents read and write, a folder a role and one for all."""
        return self.root / "files"

    @property
    def log(self) -> Path:
        """One JSON object a line."""
        return self.state / "logs" / "signoff.jsonl"

    def make(self) -> None:
        """Create the folders that nothing works without. Raises StoreRefusedError, in one line."""
        if not (self.root / "agents" / "team.yaml").is_file():
            raise ConfigError("there is no team here", file=str(self.root), expected="run `signoff init DIR` first")
        try:
            for folder in (self.state, self.spool, self.log.parent, self.files / "shared"):
                folder.mkdir(parents=True, exist_ok=True)
            self.state.chmod(0o700)
        except OSError as error:
            raise StoreRefusedError(
                f"{error.filename or self.state} cannot be written ({error.strerror})",
                "make the workspace writable, or use another one with --workspace",
            ) from error


def read_environment(workspace: Workspace, environ: Mapping[str, str]) -> dict[str, str]:
    """The workspace's `.env` under the process's own environment. Raises ConfigError with the line."""
    path = workspace.env
    values: dict[str, str] = {}
    if path.is_file():
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            if not line.strip() or line.strip().startswith("#"):
                continue
            _, equals, value = line.partition("=")
            if not equals or not _name_of(line).isidentifier():
                raise ConfigError("not a setting", file=str(path), line=number, expected="NAME=value")
            values[_name_of(line)] = value.strip().strip("\"'")
    return {**values, **environ}


def _name_of(line: str) -> str:
    """What a line of `.env` sets, "" for a comment."""
    name = line.partition("=")[0].strip().removeprefix("export ").strip()
    return "" if name.startswith("#") else name


def write_environment(workspace: Workspace, settings: Mapping[str, str]) -> None:
    """Set these in the workspace's `.env`, mode 600, in one step; every other line stays as it is. Raises
    TerminalError for a value that a line cannot hold, OSError.
    """
    for name, value in settings.items():
        if not value.isprintable() or value != value.strip().strip("\"'"):
            raise TerminalError(f"that is no value for {name}", "one line, without quotes or blanks around it")
    path = workspace.env.resolve()  # a link stays a link
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    left = dict(settings)
    kept = []
    for line in lines:
        name = _name_of(line)
        if name in left:
            kept.append(f"{line.partition('=')[0]}={left.pop(name)}")
        elif name not in settings:  # a second line for the same name would win over ours
            kept.append(line)
    kept.extend(f"{name}={value}" for name, value in left.items())
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with open(number, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, made with its mode
            file.write("".join(f"{line}\n" for line in kept))
            file.flush()
            os.fsync(number)
        temporary.replace(path)
    except BaseException:  # whatever it was, half a file of secrets does not stay
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise


def models_of(
    environ: Mapping[str, str], clock: SystemClock, ids: SystemIds, on_wait: Callable[[str, str], None]
) -> dict[str, ModelProvider]:
    """Every vendor there is a key for, and those that need none: the built-in model, and OpenAI's way of speaking, for
    servers of one's own. `on_wait` hears (task, line) before each wait.
    """
    models: dict[str, ModelProvider] = {"offline": OfflineModel()}
    if key := environ.get("ANTHROPIC_API_KEY"):
        anthropic = AnthropicModel(key, base_url=environ.get("ANTHROPIC_BASE_URL"))
        models["anthropic"] = Resilient(anthropic, clock, ids, on_wait=on_wait)
    openai = OpenAIModel(environ.get("OPENAI_API_KEY", ""), base_url=environ.get("OPENAI_BASE_URL"))
    models["openai"] = Resilient(openai, clock, ids, on_wait=on_wait)
    return models


class House:
    """An opened workspace. `Reads` and `intake` always; an engine only for who holds the lock."""

    def __init__(
        self, workspace: Workspace, environ: Mapping[str, str], store: SqliteStore, held: Edition | None = None
    ) -> None:
        self.workspace = workspace
        self.environ = environ
        self.store = store
        self.clock = SystemClock()
        self.ids = SystemIds()
        self.bus = LocalBus()
        self.teams = FileTeamSource(workspace.root, environ=environ, held=held)
        self.intake = StoreIntake(store, self.bus)
        self.shelf = WorkspaceShelf(workspace.files)
        self.outside = Hub(
            partial(configured, workspace.root),
            Places(folder=workspace.root / PINS, environ=environ),
            self.clock,
            version=lambda: self.teams.current().version,
        )
        self.redact = Redactor(environ)
        self._equipment = Equipment(
            workspace=workspace.root,
            spool=Spool(workspace.spool),
            environ=environ,
            notebook=Notebook(keeper=store, clock=self.clock, redact=self.redact),
            outside=self.outside,
            reminders=StoreReminders(store, self.clock, self.bus),
            fetch=FetchUrl(agent=f"Signoff/{VERSION}"),
        )
        self._tools: dict[str, Mapping[str, Tool]] = {}
        self._status: Status | None = None
        self._models: Mapping[str, ModelProvider] = {}

    @classmethod
    async def open(cls, workspace: Workspace, environ: Mapping[str, str]) -> Self:
        """Raises ConfigError (TeamErrors), StoreRefusedError: each one line that says what to do."""
        workspace.make()
        settings = read_environment(workspace, environ)
        store = await SqliteStore.open(workspace.database, SystemClock())
        try:
            return cls(workspace, settings, store, await reloading.held(store.read))
        except BaseException:
            await store.close()
            raise

    async def close(self) -> None:
        """What is queued is committed first."""
        for model in self._models.values():
            await model.close()
        await self.store.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def offline(self) -> bool:
        """No key is set: the built-in model answers."""
        return any(model.provider == "offline" for model in self.teams.current().models.values())

    def lock(self) -> EngineLock:
        """Only its holder may run an engine here."""
        return EngineLock(self.workspace.state)

    def chats(self) -> tuple[dict[str, Platform], tuple[str, ...]]:
        """Every chat platform that is set up and usable; and a line for each that is set up and is not."""
        return platforms.build(
            self.environ, clock=self.clock, ids=self.ids, zone=self.teams.current().zone, shelf=self.shelf
        )

    async def engine(self, where: Mapping[str, Platform]) -> Engine:
        """An engine on this workspace. Hold the lock: every lease of an earlier boot is void from here on.
        Raises ConfigError (TeamErrors) for schedules that are wrong.
        """
        schedules = scheduling.Rota(self.workspace.root, self.teams.current, self.store, self.clock)
        boot = await self.store.new_boot()
        self._models = models_of(self.environ, self.clock, self.ids, self._wait_for_model)
        context = Context(
            store=self.store,
            clock=self.clock,
            ids=self.ids,
            bus=self.bus,
            teams=self.teams,
            drafts=self.teams,
            laws=FileLaws(self.workspace.root, self.teams, self.workspace.backups),
            resolver=CommandResolver(self.workspace.root, self.teams.current),
            models=self._models,
            tools=self._tools_of,
            platforms=where,
            shelf=self.shelf,
            secret=await self._secret(),
            holder=f"{boot}:{os.getpid()}",
        )
        engine = Engine(context, sources={"mcp": self.outside.run, "schedules": schedules.run})
        self._status = engine.status
        await engine.keep_definition()
        self.store.watch(self._wake)
        return engine

    def _wait_for_model(self, task: str, line: str) -> None:
        if self._status is not None:
            self._status.note(task, line)

    def _wake(self) -> None:
        """Another process has committed something: the command line, most likely."""
        for topic in ("events", "effects", "posts"):
            self.bus.notify(topic)

    def _tools_of(self, team: Team) -> Mapping[str, Tool]:
        if team.version not in self._tools:
            self._tools[team.version] = registry(self._equipment, team)
        return self._tools[team.version]

    async def _secret(self) -> str:
        """The workspace's own, made once; control nonces are derived from it."""
        known = await self.store.read.meta("secret")
        if known is None:
            known = self.ids.token() + self.ids.token()
            await self.store.commit(Unit(changes=(SetMeta(name="secret", value=known),)))
        return known


def set_up_log(workspace: Workspace, *, debug: bool = False) -> None:
    """Log events as JSON lines into the workspace, what libraries complain of among them. No secret and no message text
    above DEBUG (STYLE.md, rule 11).
    """
    import structlog

    from bots import logs

    settings: Mapping[str, str] = os.environ
    with contextlib.suppress(ConfigError, OSError, UnicodeError):  # whoever opens the workspace says what is wrong
        settings = read_environment(workspace, os.environ)
    file = workspace.log.open("a", encoding="utf-8")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=lambda value, **_: msgspec.json.encode(value).decode()),
            logs.redacting(lambda line: platforms.without_secrets(line, settings)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(10 if debug else 20),
        logger_factory=structlog.PrintLoggerFactory(file),
        cache_logger_on_first_use=True,
    )
    logs.listen_to_libraries()
