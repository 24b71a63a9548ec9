"""Load, check and build the team: team.yaml, presets and role folders become one frozen Team, or a list of errors.

Law: nothing half-valid is ever built. A Team is named by the hash of its content; the same files, and the same choice
of models, give the same bytes. What only warns changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
from agents.connections import with_servers
from agents.folders import Findings, Notice, RoleText, read_role, read_shared
from agents.lint import lint
from agents.manifest import BudgetRow, DigestRow, Document, Manifest, ModelRow, Preset, ReachRow, RoleRow, read_file
from agents.memories import check_memory, rule_of
from agents.overlays import ENV, environments_of
from agents.policies import check_policy, policy_of
from agents.repos import check_repos
from agents.rollout import edition_of, named
from agents.skills import Skill, check_library, lines_of, read_skills, tools_of_skills
from agents.tools import base_specs, commands, control, git, library
from agents.versions import version_of
from agents.written import Written, check_rows
from core.model.editions import Edition
from core.model.errors import ConfigError
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
    Reach,
    Role,
    Team,
    Tier,
    ToolSpec,
)
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


def load(workspace: Path, *, environ: Mapping[str, str]) -> Team:
    """The workspace's team, whole and valid. Raises TeamErrors with all that is wrong."""
    return load_edition(workspace, environ=environ)[1].team


def load_edition(workspace: Path, *, environ: Mapping[str, str]) -> tuple[Team, Edition]:
    """What the role files say, and what is in force by them and the pins. Raises TeamErrors."""
    found = Findings()
    team = _load(workspace, environ, found)
    edition = edition_of(team, workspace, found) if team else None
    if found.errors or team is None or edition is None:
        raise TeamErrors(tuple(_sorted(found.errors)))
    return team, edition


def check(workspace: Path) -> tuple[list[ConfigError], list[Notice]]:
    """All that is wrong, and all that works but deserves a look, each in the order of the files."""
    found = Findings()
    team = _load(workspace, {}, found)
    if team is not None:
        edition_of(team, workspace, found)
        lint(workspace, team, found)
        _check_environments(workspace, team, found)
    return _sorted(found.errors), sorted(found.notices, key=lambda notice: (notice.file, notice.line))


def _check_environments(workspace: Path, team: Team, found: Findings) -> None:
    """What is right here must be right in every environment that some role has words for."""
    for env in environments_of(workspace / "agents", [role.folder for role in team.roles.values()]):
        there = Findings()
        _load(workspace, {"SIGNOFF_ENV": env}, there)
        for error in there.errors:
            found.fail(f"with SIGNOFF_ENV={env}: {error}", "less, or an overlay that says less", file=FILE)


def _sorted(errors: list[ConfigError]) -> list[ConfigError]:
    return sorted(errors, key=lambda error: (error.file, error.line))


def _load(workspace: Path, environ: Mapping[str, str], found: Findings) -> Team | None:
    document = read_file(workspace / FILE, FILE, Manifest)
    found.errors.extend(document.errors)
    if document.value is None:
        return None
    document, outside = with_servers(document, workspace, found)
    manifest = document.value
    assert manifest is not None  # noqa: S101 - it has one, as before
    specs = base_specs() | outside
    written = Written(workspace, document, specs, found)
    written.folder()
    skills = read_skills(workspace, document, written, found)
    specs |= written.specs
    check_all(document, workspace, specs, found)
    check_rows(document, specs, found)
    check_repos(document, workspace, found)
    check_library(workspace, document, skills, leads_of(manifest), found)
    check_tiers(document, DEFAULT_TIERS, found)
    check_places(document, found)
    check_digest(document, found)
    check_memory(document, found)
    policy = policy_of(manifest)
    check_policy(document, policy, found)
    preset = _preset(workspace, environ, document, found)
    shared = read_shared(workspace / "agents", found)
    env = _environment(environ, found)
    texts = {row.id: _text(workspace, row, document, n, found, env) for n, row in enumerate(manifest.roles)}
    whole = {role: text for role, text in texts.items() if text is not None}
    # Prompts are measured even where something else is wrong; they need no more than the texts.
    rows, hands = {row.id: row for row in manifest.roles}, _rows(manifest)
    composed = {role: _prompt(manifest, rows[role], hands, text, shared, skills) for role, text in whole.items()}
    for n, row in enumerate(manifest.roles):
        _measure(composed.get(row.id, ""), row, document.line("roles", n, "id"), found)
    if found.errors or preset is None:
        return None
    built = _Builder(manifest, whole, composed, specs, policy, skills)
    usable = any(environ.get(key) for key in KEYS) or not wants_key(preset)
    return built.team(preset if usable else None)


def _environment(environ: Mapping[str, str], found: Findings) -> str:
    """Whose overlays count, "" for nobody's."""
    env = environ.get("SIGNOFF_ENV", "")
    if env and not ENV.fullmatch(env):
        found.fail(f"{env[:40]!r} is no environment", "a name such as dev or prod", file="SIGNOFF_ENV")
    return env


def _text(
    workspace: Path, row: RoleRow, document: Document[Manifest], n: int, found: Findings, env: str
) -> RoleText | None:
    folder = row.folder or row.id
    if not (workspace / "agents" / folder).is_dir():
        line = document.line("roles", n, "folder")
        found.fail(f"no folder agents/{folder}", "a folder with at least SOUL.md", file=document.file, line=line)
        return None
    return read_role(workspace / "agents", folder, row.id, found, env=env)


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


def wants_key(preset: Preset) -> bool:
    """Whether any of its models is spoken to with a key: those on servers of one's own are not."""
    rows = (preset.models.triage, preset.models.work, preset.models.deep, *preset.roles.values())
    return not all(row.base_url or row.provider == "offline" for row in rows)


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
        thinking_tokens=row.thinking_tokens,
        base_url=row.base_url,
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


def _prompt(
    manifest: Manifest,
    row: RoleRow,
    hands: tuple[MatrixRow, ...],
    text: RoleText,
    shared: tuple[str, ...],
    skills: Mapping[str, Skill],
) -> str:
    role, lead = row.id, row.id == manifest.team.lead
    about = prompts.identity(role=role, name=text.front.name, job=text.front.role, team=manifest.team.name)
    return prompts.compose(
        shared=shared,
        constitution=text.constitution,
        soul=f"{about}\n\n{text.soul}",
        agents=text.agents,
        tools=f"{text.tools}\n\n{lines_of(row, skills)}",
        rows=prompts.contract(role, hands, lead=lead, delegates="delegate" in tools_of(row)),
        start=prompts.beginning(text.heartbeat.session),
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
        skills: Mapping[str, Skill],
    ) -> None:
        self._all = manifest
        self._texts = texts
        self._composed = composed
        self._specs = specs
        self._policy = policy
        self._skills = skills
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
                untrusted=row.untrusted,
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
            repos=self._all.repos,
            digest=_digest(self._all.team.digest),
            memory=rule_of(self._all.memory),
            kinds=self._all.kinds,
        )
        return named(team)

    def _role(self, row: RoleRow, complexity: str) -> Role:
        tools = tuple(dict.fromkeys((*tools_of(row), *tools_of_skills(row, self._skills))))
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
            reach=_reach(row.reach),
            skills=row.skills,
            skill_texts={name: self._skills[name].digest for name in row.skills if name in self._skills},
            judged_by=row.judged_by or "",
            leads=row.id in self._leads or ("delegate" in tools and set(tools) <= LEAD_TOOLS),
            specs=self._with_finding(tuple(self._spec(row, name) for name in tools)),
            prompt=self._composed[row.id],
            beats=self._texts[row.id].heartbeat.beats,
        )
        concerned = [hand for hand in self._matrix if row.id in {hand.source, hand.target}]
        commands_ = [self._commands[name] for name in row.commands]
        return msgspec.structs.replace(role, version=version_of(role, concerned, commands_))

    def _spec(self, row: RoleRow, tool: str) -> ToolSpec:
        match tool:
            case control.DELEGATE:
                return self._delegate(row.id)
            case commands.NAME:
                return commands.spec({name: self._commands[name] for name in row.commands})
            case git.GIT | git.MERGE:
                return self._said(git.specs(tuple(self._all.repos))[tool])
            case library.USE_SKILL:
                return self._said(library.skill_spec(row.skills))
            case _:
                return self._said(self._specs[tool])

    def _with_finding(self, specs: tuple[ToolSpec, ...]) -> tuple[ToolSpec, ...]:
        """Tools on demand can be found."""
        others = tuple(spec for spec in specs if spec.name != control.FIND_TOOLS)
        on_demand = tuple(spec.name for spec in others if spec.on_demand)
        return (*others, control.find_tools(on_demand)) if on_demand else others

    def _said(self, spec: ToolSpec) -> ToolSpec:
        """The tool, with what the team says of it."""
        row = self._all.tools.get(spec.name)
        if row is None:
            return spec
        said = {name: value for name, value in msgspec.structs.asdict(row).items() if value is not None}
        kinds: dict[str, Any] = {"tier": Tier(row.tier)} if row.tier else {}
        kinds |= {"effect": EffectClass(row.effect)} if row.effect else {}
        return msgspec.structs.replace(spec, **said | kinds)

    def _delegate(self, role: str) -> ToolSpec:
        rows = [hand for hand in self._matrix if hand.source == role]
        targets = tuple(dict.fromkeys(hand.target for hand in rows))
        kinds = tuple(dict.fromkeys(kind for hand in rows for kind in hand.kinds))
        lines = tuple(self._line(role, target, rows) for target in targets)
        return control.delegate(targets, kinds, lines, self._all.kinds)

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


def _reach(row: ReachRow) -> Reach:
    return Reach(
        egress=row.egress,
        credentials=row.credentials,
        memory_mb_max=row.memory_mb,
        cpu_seconds_max=row.cpu_seconds,
    )


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
