"""What a tool call would do, to the byte: the action, before anybody decides about it.

Everything a decision depends on is computed here, from the team's definition and the checked arguments alone: the same
call under the same definition is the same action, whoever asks and whenever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from core.model.inquiries import Action
from core.model.team import Command, EffectClass, Json, Role, Team, Tier, ToolSpec
from core.model.work import Failure
from core.rules.canonical import canonical
from core.rules.schema import check_arguments
from core.rules.secrets import redacted, secrets_of

RUN_COMMAND = "run_command"

_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PLAIN = re.compile(r"[^\s\"'\\]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """An action and how it is to be run. `path` is the file or program it names: what the policy's words look at."""

    action: Action
    tier: Tier
    effect: EffectClass
    seconds_max: int
    path: str


def fill(template: str, arguments: Mapping[str, Json]) -> str:
    """`{name}` becomes the argument's text; unknown names stay. Values are not looked into again, so a value that
    holds `{other}` is shown as it is.
    """
    return _PLACE.sub(lambda m: text_of(arguments[m[1]]) if m[1] in arguments else m[0], template)


def text_of(value: Json) -> str:
    """An argument as text: a string as it is, anything else as canonical JSON. Raises InvalidArgumentsError."""
    return value if isinstance(value, str) else canonical(value).decode()


def schema_of(command: Command) -> dict[str, Json]:
    """What `args` of a command must be: every one of them required unless it has a default."""
    required = [name for name, shape in command.args.items() if not (isinstance(shape, dict) and "default" in shape)]
    return {"type": "object", "properties": command.args, "required": required, "additionalProperties": False}


def argv_of(command: Command, args: Mapping[str, Json]) -> tuple[str, ...]:
    """The words that are run, with argument texts in their places."""
    return tuple(fill(word, args) for word in command.argv)


def act_of(team: Team, role: str, tool: str, arguments: Json, fingerprints: Mapping[str, str]) -> Act | Failure:
    """The act of a call, or why it cannot be one. `fingerprints` are by command name, or tool name; a tool that
    people wrote has its own. Never raises.
    """
    owner = team.roles.get(role)
    if owner is None:
        return Failure(what=f"{role} cannot use {tool}", why="the team has no such role", recovery="Ask a person")
    spec = team.spec(role, tool)
    if spec is None:
        return _not_allowed(f"{role} may not use {tool}", tuple(spec.name for spec in owner.specs))
    if tool == RUN_COMMAND:
        return _command_act(team, owner, arguments, fingerprints)
    return _tool_act(spec, arguments, fingerprints)


def _tool_act(spec: ToolSpec, arguments: Json, fingerprints: Mapping[str, str]) -> Act | Failure:
    checked = check_arguments(spec.parameters, arguments)
    if isinstance(checked, tuple):
        return _invalid(spec.name, checked)
    secrets = secrets_of(spec.parameters, checked)
    shown = redacted(checked, secrets)  # a resource is named on every screen and in every record
    action = Action(
        tool=spec.name,
        arguments=checked,
        resource=fill(spec.resource, shown) or spec.name,
        verb=spec.verb or spec.name,
        effect=spec.effect,
        fingerprint=fingerprints.get(spec.name, spec.program),
        says=fill(spec.says, shown) or f"Uses {spec.name}",
        secrets=secrets,
    )
    path = checked.get("path")
    return Act(
        action=action,
        tier=spec.tier,
        effect=spec.effect,
        seconds_max=spec.seconds_max,
        path=_looked_at(path if isinstance(path, str) else "", spec.resource, checked, shown),
    )


def _looked_at(path: str, resource: str, checked: Mapping[str, Json], shown: Mapping[str, Json]) -> str:
    """The path, and a resource as it is where the one people see hides something: words are looked for in both."""
    real = fill(resource, checked)
    return path if real == fill(resource, shown) else f"{path} {real}".strip()


def _command_act(team: Team, role: Role, arguments: Json, fingerprints: Mapping[str, str]) -> Act | Failure:
    name = arguments.get("command") if isinstance(arguments, dict) else None
    allowed = tuple(command for command in role.commands if command in team.commands)
    if not isinstance(name, str) or name not in allowed:
        asked = f"the command {name}" if isinstance(name, str) else "a command that it does not name"
        return _not_allowed(f"{role.id} may not run {asked}", allowed)
    extra = sorted(str(key) for key in arguments if key not in {"command", "args"})
    if extra:
        return _invalid(name, (f"{', '.join(extra)} is unknown: arguments of the command go into args",))
    command = team.commands[name]
    checked = check_arguments(schema_of(command), arguments.get("args", {}))
    if isinstance(checked, tuple):
        return _invalid(name, checked)
    if not fingerprints.get(name):
        return Failure(
            what=f"{name} cannot be run",
            why=f"its program is missing: {command.argv[0] if command.argv else 'none is named'}",
            recovery="Tell a person: the file named in team.yaml must exist and be executable",
        )
    secrets = secrets_of(schema_of(command), checked, "args")
    shown = redacted(checked, secrets, "args")
    action = Action(
        tool=RUN_COMMAND,
        arguments={"command": name, "args": checked},
        resource=fill(command.resource, shown) or name,
        verb=name,
        effect=command.effect,
        fingerprint=fingerprints[name],
        says=fill(command.says, shown) or f"Runs {' '.join(map(_shown, argv_of(command, shown)))} on this machine",
        secrets=secrets,
    )
    path = checked.get("path")
    return Act(
        action=action,
        tier=command.tier,
        effect=command.effect,
        seconds_max=command.seconds_max,
        path=_looked_at(
            " ".join((*argv_of(command, checked)[:1], path if isinstance(path, str) else "")).strip(),
            command.resource,
            checked,
            shown,
        ),
    )


def _shown(word: str) -> str:
    """Words with blanks or quotes in them are quoted, so that a person sees where each one ends."""
    return word if _PLAIN.fullmatch(word) else canonical(word).decode()


def _not_allowed(what: str, allowed: tuple[str, ...]) -> Failure:
    recovery = f"Use one of: {', '.join(allowed)}" if allowed else "Ask the role you report to"
    return Failure(what=what, why="it is not among those team.yaml allows", recovery=recovery)


def _invalid(name: str, errors: tuple[str, ...]) -> Failure:
    return Failure(
        what=f"the arguments of {name} are not valid",
        why="; ".join(errors),
        recovery="Send the call again with these corrected",
    )
