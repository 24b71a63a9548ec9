"""Load, check and build the team: team.yaml, presets and role folders become one frozen Team, or a list of errors.

Law: nothing half-valid is ever built. A Team is named by the hash of its content; the same files, and the same choice
of models, give the same bytes. What only warns changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from agents import prompts
from agents.checks import (
    LEAD_TOOLS,
    check_all,
    check_digest,
    check_places,
    check_tiers,
    leads_of,
    place_of,
    tools_of,
)
from agents.folders import Findings, Notice, RoleText, read_role, read_shared
from agents.manifest import BudgetRow, DigestRow, Document, Manifest, ModelRow, Preset, RoleRow, read_file
from agents.policies import check_policy, policy_of
from agents.tools import base_specs, commands, control
from core.model.errors import ConfigError
from core.model.ids import digest_of
from core.model.team import (
    Budget,
    Command,
    DigestRule,
    EffectClass,
    MatrixRow,
    ModelSpec,
    Permissions,
    Person,
    Policy,
    Role,
    Team,
    Tier,
    ToolSpec,
)
from core.ports import TeamSource
from core.rules.policy import DEFAULT_TIERS

FILE = "agents/team.yaml"
KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL")
PROMPT_TOKENS_WARN = 8_000
PROMPT_TOKENS_MAX = 10_000
_MICRO = 1_000_000
_HOUR_MS = 3_600_000
_OFFLINE = ModelSpec(provider="offline", model="offline")


class TeamErrors(ConfigError):  # noqa: N818 - it is several
    """Everything that is wrong with a team's files; one line for each."""

    def __init__(self, errors: tuple[ConfigError, ...]) -> None:
        first = errors[0]
        super().__init__("", file=first.file, line=first.line)
        self.errors = errors
        self.args = ("\n".join(str(error) for error in errors),)
        self.what = str(self)


class FileTeamSource(TeamSource):
    """The team of a workspace. It changes only by `reload`, so that a half-saved file stops nothing that runs."""

    def __init__(self, workspace: Path, *, environ: Mapping[str, str]) -> None:
        """Load it. Raises TeamErrors."""
        self._workspace = workspace
        self._environ = dict(environ)
        self._team = load(workspace, environ=self._environ)

    def current(self) -> Team:
        """The newest that is valid."""
        return self._team

    def reload(self) -> Team:
        """Read the files again. Raises TeamErrors, and then the old team stays."""
        self._team = load(self._workspace, environ=self._environ)
        return self._team

    def parse(self, blob: bytes) -> Team:
        """A stored one: what `encode` made."""
        return msgspec.json.decode(blob, type=Team)


def encode(team: Team) -> bytes:
    """The bytes under which a team is stored: the same team, the same bytes."""
    return msgspec.json.encode(team, order="sorted")


def load(workspace: Path, *, environ: Mapping[str, str]) -> Team:
    """The workspace's team, whole and valid. Raises TeamErrors with all that is wrong."""
    found = Findings()
    team = _load(workspace, environ, found)
    if found.errors or team is None:
        raise TeamErrors(tuple(_sorted(found.errors)))
    return team


def check(workspace: Path) -> tuple[list[ConfigError], list[Notice]]:
    """All that is wrong, and all that works but deserves a look, each in the order of the files."""
    found = Findings()
    _load(workspace, {}, found)
    return _sorted(found.errors), sorted(found.notices, key=lambda notice: (notice.file, notice.line))


def _sorted(errors: list[ConfigError]) -> list[ConfigError]:
    return sorted(errors, key=lambda error: (error.file, error.line))


def _load(workspace: Path, environ: Mapping[str, str], found: Findings) -> Team | None:
    document = read_file(workspace / FILE, FILE, Manifest)
    found.errors.extend(document.errors)
    manifest = document.value
    if manifest is None:
        return None
    specs = base_specs()
    check_all(document, workspace, specs, found)
    check_tiers(document, DEFAULT_TIERS, found)
    check_places(document, found)
    check_digest(document, found)
    policy = policy_of(manifest)
    check_policy(document, policy, found)
    preset = _preset(workspace, environ, document, found)
    shared = read_shared(workspace / "agents", found)
    texts = {row.id: _text(workspace, row, document, n, found) for n, row in enumerate(manifest.roles)}
    whole = {role: text for role, text in texts.items() if text is not None}
    # Prompts are measured even where something else is wrong; they need no more than the texts.
    composed = {role: _prompt(manifest, role, text, shared) for role, text in whole.items()}
    for n, row in enumerate(manifest.roles):
        _measure(composed.get(row.id, ""), row, document.line("roles", n, "id"), found)
    if found.errors or preset is None:
        return None
    built = _Builder(manifest, whole, composed, specs, policy)
    return built.team(preset if any(environ.get(key) for key in KEYS) else None)


def _text(workspace: Path, row: RoleRow, document: Document[Manifest], n: int, found: Findings) -> RoleText | None:
    folder = row.folder or row.id
    if not (workspace / "agents" / folder).is_dir():
        line = document.line("roles", n, "folder")
        found.fail(f"no folder agents/{folder}", "a folder with at least SOUL.md", file=document.file, line=line)
        return None
    return read_role(workspace / "agents", folder, row.id, found)


def _measure(prompt: str, row: RoleRow, line: int, found: Findings) -> None:
    size = prompts.tokens(prompt)
    if size > PROMPT_TOKENS_MAX:
        found.fail(f"the prompt of {row.id} has {size} tokens", f"at most {PROMPT_TOKENS_MAX}", file=FILE, line=line)
    elif size > PROMPT_TOKENS_WARN:
        found.notice(f"the prompt of {row.id} has {size} tokens, over {PROMPT_TOKENS_WARN}", file=FILE, line=line)


# --- Models and policy ----------------------------------------------------------------------------------------------


def _preset(
    workspace: Path, environ: Mapping[str, str], document: Document[Manifest], found: Findings
) -> Preset | None:
    assert document.value is not None  # noqa: S101 - the caller has looked
    chosen = environ.get("SIGNOFF_PRESET", "")
    name, line = (chosen, 0) if chosen else (document.value.team.preset, document.line("team", "preset"))
    ours = Path(__file__).parent / "presets"
    folders = (workspace / "agents" / "presets", ours)
    known = sorted({path.stem for folder in folders if folder.is_dir() for path in folder.glob("*.json")})
    if name not in known:
        whose = "SIGNOFF_PRESET" if chosen else document.file
        found.fail(f"unknown preset {name}", f"one of: {', '.join(known)}", file=whose, line=line)
        return None
    path = next(folder / f"{name}.json" for folder in folders if (folder / f"{name}.json").is_file())
    preset = read_file(path, f"agents/presets/{name}.json", Preset)
    found.errors.extend(preset.errors)
    return preset.value


def _model(row: ModelRow) -> ModelSpec:
    return ModelSpec(
        provider=row.provider,
        model=row.model,
        input_microusd_per_mtok=round(row.input_usd_per_mtok * _MICRO),
        output_microusd_per_mtok=round(row.output_usd_per_mtok * _MICRO),
        cache_read_microusd_per_mtok=round(row.cache_read_usd_per_mtok * _MICRO),
        cache_write_microusd_per_mtok=round(row.cache_write_usd_per_mtok * _MICRO),
        window_tokens=row.window_tokens,
        output_tokens_max=row.output_tokens_max,
    )


def _digest(row: DigestRow | None) -> DigestRule | None:
    place = place_of(row.to) if row else None
    return DigestRule(at=row.at, to=place) if row and place else None


# --- Roles ----------------------------------------------------------------------------------------------------------


def _rows(manifest: Manifest) -> tuple[MatrixRow, ...]:
    return tuple(
        MatrixRow(source=row.source, target=row.target, kinds=row.kinds, when=" ".join(row.when.split()))
        for row in manifest.matrix
    )


def _prompt(manifest: Manifest, role: str, text: RoleText, shared: tuple[str, ...]) -> str:
    row = next(row for row in manifest.roles if row.id == role)
    about = prompts.identity(role=role, name=text.front.name, job=text.front.role, team=manifest.team.name)
    lead = role == manifest.team.lead
    return prompts.compose(
        shared=shared,
        constitution=text.constitution,
        soul=f"{about}\n\n{text.soul}",
        agents=text.agents,
        tools=text.tools,
        rows=prompts.contract(role, _rows(manifest), lead=lead, delegates="delegate" in tools_of(row)),
    )


class _Builder:
    """Everything is valid by now: only shapes change."""

    def __init__(
        self,
        manifest: Manifest,
        texts: Mapping[str, RoleText],
        composed: Mapping[str, str],
        specs: dict[str, ToolSpec],
        policy: Policy,
    ) -> None:
        self._all = manifest
        self._texts = texts
        self._composed = composed
        self._specs = specs
        self._policy = policy
        self._rows = {row.id: row for row in manifest.roles}
        self._matrix = _rows(manifest)
        self._leads = leads_of(manifest)
        self._commands = {
            name: Command(
                name=name,
                argv=row.argv,
                about=row.about,
                args=row.args,
                tier=Tier(row.tier),
                effect=EffectClass(row.effect),
                resource=row.resource or f"command:{name}",
                says=row.says,
                seconds_max=row.seconds_max,
            )
            for name, row in manifest.commands.items()
        }

    def team(self, preset: Preset | None) -> Team:
        """The whole; without a preset every model is the one that needs no key."""
        models = dict.fromkeys(("triage", "work", "deep"), _OFFLINE)
        if preset is not None:
            models = {name: _model(getattr(preset.models, name)) for name in models}
            # A role of its own choice: under its id, which `check` keeps apart from the three words.
            models |= {role: _model(row) for role, row in preset.roles.items() if role in self._texts}
        roles = {row.id: self._role(row, row.id if row.id in models else row.complexity) for row in self._all.roles}
        team = Team(
            version="",
            name=self._all.team.name,
            zone=self._all.team.zone,
            lead=self._all.team.lead,
            people=tuple(
                Person(
                    id=p.id,
                    name=p.name,
                    role=p.role,
                    zone=p.zone or self._all.team.zone,
                    accounts=p.accounts,
                    quiet=p.quiet,
                    quiet_days=p.quiet_days,
                )
                for p in self._all.people
            ),
            roles=roles,
            teams=self._all.teams,
            matrix=self._matrix,
            channels=dict(self._all.channels),
            platform_roles={
                platform: {"owner": row.owner, "approver": row.approver}
                for platform, row in self._all.platform_roles.items()
            },
            tools=self._specs,
            commands=self._commands,
            models=models,
            policy=self._policy,
            digest=_digest(self._all.team.digest),
        )
        return msgspec.structs.replace(team, version=digest_of(encode(team).decode()))

    def _role(self, row: RoleRow, complexity: str) -> Role:
        tools = tools_of(row)
        role = Role(
            id=row.id,
            title=self._texts[row.id].front.name,
            folder=row.folder or row.id,
            reports_to=row.reports_to,
            tools=tools,
            commands=row.commands,
            complexity=complexity,
            concurrency_max=row.concurrency_max,
            batch_max=row.batch_max,
            task_seconds_max=row.task_seconds_max,
            budget=_budget(row.budget),
            permissions=msgspec.convert(msgspec.structs.asdict(row.permissions), Permissions),
            escalates_to=row.escalates_to,
            triggers=self._texts[row.id].triggers,
            leads=row.id in self._leads or ("delegate" in tools and set(tools) <= LEAD_TOOLS),
            specs=tuple(self._spec(row, name) for name in tools),
            prompt=self._composed[row.id],
        )
        concerned = [hand for hand in self._matrix if row.id in {hand.source, hand.target}]
        commands_ = [self._commands[name] for name in row.commands]
        content = msgspec.json.encode((role, concerned, commands_), order="sorted")
        return msgspec.structs.replace(role, version=digest_of(content.decode()))

    def _spec(self, row: RoleRow, tool: str) -> ToolSpec:
        match tool:
            case control.DELEGATE:
                return self._delegate(row.id)
            case commands.NAME:
                return commands.spec({name: self._commands[name] for name in row.commands})
            case _:
                return self._specs[tool]

    def _delegate(self, role: str) -> ToolSpec:
        rows = [hand for hand in self._matrix if hand.source == role]
        targets = tuple(dict.fromkeys(hand.target for hand in rows))
        kinds = tuple(dict.fromkeys(kind for hand in rows for kind in hand.kinds))
        return control.delegate(targets, kinds, tuple(self._line(role, target, rows) for target in targets))

    def _line(self, role: str, target: str, rows: list[MatrixRow]) -> str:
        mine = [hand for hand in rows if hand.target == target]
        kinds = ", ".join(kind for hand in mine for kind in hand.kinds)
        when = "; ".join(hand.when.rstrip(".") for hand in mine if hand.when)
        reach = [f"{name}{self._doing(name)}" for name in self._reach(target) if name != role]
        what = f"{target}: {self._texts[target].front.name}{self._doing(target)}. Kinds: {kinds}."
        return what + (f" {when}." if when else "") + (f" Reaches: {', '.join(reach)}." if reach else "")

    def _doing(self, role: str) -> str:
        """What a role can do that its reader cannot guess: its commands that change something."""
        mine = [self._commands[name] for name in self._rows[role].commands]
        about = [command.about or _bare(command) for command in mine if command.effect is not EffectClass.READ]
        return f" ({'; '.join(about)})" if about else ""

    def _reach(self, start: str) -> list[str]:
        """Whom a role can hand work down to, and they in turn, nearest first."""
        reached, at = [start], 0
        while at < len(reached):
            rows = [hand for hand in self._matrix if hand.source == reached[at]]
            below = [hand.target for hand in rows if self._rows[hand.target].reports_to == reached[at]]
            reached += [name for name in dict.fromkeys(below) if name not in reached]
            at += 1
        return reached[1:]


def _bare(command: Command) -> str:
    """What a command without a description can be known by: its name, and what it may be called with."""
    values = [str(value) for schema in command.args.values() for value in schema.get("enum", ())]
    return f"{command.name} {', '.join(values)}" if values else command.name


def _budget(row: BudgetRow) -> Budget:
    return Budget(
        call_input_tokens_max=row.call.input,
        call_output_tokens_max=row.call.output,
        task_tokens_max=row.task.tokens,
        task_calls_max=row.task.calls,
        day_tokens_max=row.day.tokens,
        day_microusd_max=round(row.day.usd * _MICRO),
        hard_stop=row.hard_stop,
    )
