"""An approval for several times: how wide it may be, whom it takes, and what it covers (INQUIRIES.md, Grant).

Laws of this file. It is never wider than what was shown: everything of the action is equal to the byte, its program
too, but for arguments that were freed by name, and those only within what their schema lists. It is for the role and
the root task it was asked for. People who approve with other bounds, or none, approve once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

import msgspec

from core.model.inquiries import Action, Bounds, Grant, GrantState, Inquiry, Kind, Vote
from core.model.team import Json, Team
from core.model.unit import InquiryRow
from core.model.work import Failure
from core.rules import notes
from core.rules.actions import RUN_COMMAND, Act, act_of, text_of
from core.rules.canonical import action_digest, canonical
from core.rules.decisions import Case
from core.rules.policy import gates_of, rule_of, stricter
from core.rules.text import one_line
from core.rules.times import Wanted

NAME_MAX = 40
_HOUR_MS = 3_600_000


def fit(case: Case, wanted: Wanted) -> Bounds | str:
    """The bounds that this press asks for, or why they cannot be."""
    inquiry, action = case.inquiry, case.inquiry.action
    rule = rule_of(case.team.policy, inquiry.tier).bounded
    if inquiry.kind is not Kind.APPROVAL or action is None or rule is None:
        return notes.NOT_BOUNDED
    if wanted.count_n > rule.count_max or not 0 < wanted.within_ms <= rule.hours_max * _HOUR_MS:
        return notes.too_wide(rule.count_max, rule.hours_max)
    free: dict[str, tuple[Json, ...]] = {}
    for name, value in wanted.where:
        shown = one_line(name, NAME_MAX)
        path = _path_of(inquiry, name)
        listed = _listed(case.team, inquiry, path) if path else None
        if path is None or listed is None:
            return notes.not_free(shown)
        chosen = listed if value == "*" else tuple(one for one in listed if text_of(one) == value)
        if not chosen:
            return notes.choose(shown, tuple(map(text_of, listed)))
        if not all(_same_place(case, action, path, one) for one in chosen):
            return notes.decides_what(shown)
        free[path] = (*free.get(path, (_at(action.arguments, path),)), *chosen)
    unique = {path: _unique(values) for path, values in free.items()}
    return Bounds(count_max=wanted.count_n, within_ms=wanted.within_ms, free=unique)


def _path_of(inquiry: Inquiry, name: str) -> str | None:
    """An argument by its path, or its last name. What cannot be edited (a secret, a command's name) cannot be freed."""
    named = [path for path in inquiry.editable if path == name or path.endswith(f".{name}")]
    return named[0] if len(named) == 1 else None


def _listed(team: Team, inquiry: Inquiry, path: str) -> tuple[Json, ...] | None:
    """All the values its schema lists; None for what can be anything."""
    action, properties = inquiry.action, (inquiry.schema or {}).get("properties", {})
    if action is not None and action.tool == RUN_COMMAND:
        command = team.commands.get(action.verb)
        properties, path = (command.args if command else {}), path.removeprefix("args.")
    schema = properties.get(path)
    if not isinstance(schema, dict):
        return None
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    return tuple(values) if isinstance(values, list) else None


def _same_place(case: Case, shown: Action, path: str, value: Json) -> bool:
    """Whether with this value it is still the same thing done to the same resource."""
    act = _act_of(case.team, case.inquiry, _with(shown.arguments, path, value), case.fingerprint)
    if isinstance(act, Failure) or act.tier is not case.inquiry.tier:
        return False
    return (act.action.resource, act.action.verb) == (shown.resource, shown.verb)


def _act_of(team: Team, inquiry: Inquiry, arguments: dict[str, Json], fingerprint: str) -> Act | Failure:
    action = inquiry.action
    names = {action.verb: fingerprint, action.tool: fingerprint} if action else {}
    return act_of(team, inquiry.role, action.tool if action else "", arguments, names)


def _at(arguments: dict[str, Json], path: str) -> Json:
    outer, dot, inner = path.partition(".")
    inside = arguments.get(outer)
    return inside.get(inner) if dot and isinstance(inside, dict) else arguments.get(path)


def _with(arguments: dict[str, Json], path: str, value: Json) -> dict[str, Json]:
    new = copy.deepcopy(arguments)
    outer, dot, inner = path.partition(".")
    if dot and isinstance(new.get(outer), dict):
        new[outer][inner] = value
    else:
        new[path] = value
    return new


def _unique(values: Iterable[Json]) -> tuple[Json, ...]:
    """JSON tells `1` from `true`; a Python dict would not."""
    return tuple({canonical(value): value for value in values}.values())


def agreed(votes: Iterable[Vote]) -> Bounds | None:
    """The bounds of all approvals together: None, so once, unless all of them say the same."""
    said = [canonical(msgspec.to_builtins(vote.bounds)) for vote in votes]
    first = next(iter(votes), None)
    return first.bounds if first is not None and len(set(said)) == 1 else None


def covers(grant: Grant, role: str, act: Act, now_ms: int, *, taken_n: int = 0) -> bool:
    """Whether this grant lets this act be done by this role now, with `taken_n` uses taken up that it has not seen."""
    bounds, shown = grant.bounds, grant.action
    if bounds is None or shown is None or grant.state is not GrantState.LIVE or grant.role != role:
        return False
    if grant.used_n + taken_n >= bounds.count_max or now_ms >= grant.execute_by_ms:
        return False
    arguments = act.action.arguments
    for path, values in bounds.free.items():
        if canonical(_at(arguments, path)) in map(canonical, values):
            arguments = _with(arguments, path, _at(shown.arguments, path))
    return action_digest(msgspec.structs.replace(act.action, arguments=arguments)) == grant.digest


def holds(row: InquiryRow, team: Team, fingerprint: str | None) -> bool:
    """Whether today's policy and program are still what the grant was given under. Once they are not, it is void."""
    inquiry, action = row.inquiry, row.inquiry.action
    rule = rule_of(team.policy, inquiry.tier).bounded
    bounds = row.grant.bounds if row.grant else None
    if action is None or rule is None or bounds is None:
        return False
    if bounds.count_max > rule.count_max or bounds.within_ms > rule.hours_max * _HOUR_MS:
        return False
    act = _act_of(team, inquiry, action.arguments, fingerprint or "")
    if isinstance(act, Failure) or action_digest(act.action) != inquiry.digest:
        return False
    return not stricter(gates_of(team, inquiry.role, act, gated=False, untrusted=False), inquiry)
