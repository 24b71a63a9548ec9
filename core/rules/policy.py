"""Who must be asked before an act, and who of them may decide (INQUIRIES.md, Tiers and words; Who can decide).

A floor only ever adds: a tier says what its acts need, and words, briefs and untrusted text each make that at least one
approver. All of it merges into one inquiry. Where nobody is entitled, the act is refused, never let through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType

from core.model.inquiries import Inquiry, Label, Stage
from core.model.team import EffectClass, Policy, StageRule, Team, Tier, TierRule
from core.model.work import Brief, Failure
from core.rules.actions import Act

DAY_MS = 86_400_000

_ONE = (StageRule(),)
DEFAULT_TIERS: Mapping[str, TierRule] = MappingProxyType(
    {
        Tier.READ.value: TierRule(),
        Tier.INTERNAL.value: TierRule(),
        Tier.EXTERNAL.value: TierRule(stages=_ONE),
        Tier.FINANCIAL.value: TierRule(stages=_ONE),
        Tier.INFRASTRUCTURE.value: TierRule(stages=(*_ONE, *_ONE), decide_ms=2 * DAY_MS),
    }
)
DEFAULT_WORDS = ("deploy", "production", "database", "billing", "delete")

_OUTSIDE = frozenset({Tier.EXTERNAL, Tier.FINANCIAL, Tier.INFRASTRUCTURE})
_SEVERITY = tuple(Tier)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """Everything one act needs, merged. `reasons` say why, in words."""

    tier: Tier
    stages: tuple[StageRule, ...]
    decide_ms: int
    execute_ms: int
    at_deadline: str
    reasons: tuple[str, ...]
    verified: bool
    reason_required: bool
    allow_self: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Who decides, frozen when the inquiry is made, and how much of the rule that keeps."""

    label: Label
    stages: tuple[Stage, ...]


def severity(tier: Tier) -> int:
    """Tiers in order, mildest 0."""
    return _SEVERITY.index(tier)


def gates_of(team: Team, role: str, act: Act, *, gated: bool, untrusted: bool) -> Gates | None:
    """What the act needs; None if it runs at once."""
    rule = rule_of(team.policy, act.tier)
    reasons = []
    if rule.stages:
        reasons.append(f"{act.tier.value} actions need {_people_n(rule.stages)}")
    floors = [*_floors(team.policy, role, act, gated=gated, untrusted=untrusted)]
    if not rule.stages and not floors:
        return None
    return Gates(
        tier=act.tier,
        # A floor says how many decide, not how fast: the times stay those of the tier.
        stages=rule.stages or _ONE,
        decide_ms=rule.decide_ms,
        execute_ms=rule.execute_ms,
        at_deadline=rule.at_deadline,
        reasons=(*reasons, *floors),
        verified=rule.verified,
        reason_required=rule.reason_required,
        allow_self=rule.allow_self,
    )


def rule_of(policy: Policy, tier: Tier) -> TierRule:
    """The rule of a tier; the default where the policy leaves it out, so that a gap opens nothing."""
    return policy.tiers.get(tier.value, DEFAULT_TIERS[tier.value])


def _floors(policy: Policy, role: str, act: Act, *, gated: bool, untrusted: bool) -> Iterable[str]:
    action = act.action
    # Looking at something is not doing it: `status --site production` must not need a person.
    only_looks = act.effect is EffectClass.READ and act.tier in {Tier.READ, Tier.INTERNAL}
    if not only_looks:
        command = action.arguments.get("command")
        named = (action.tool, command if isinstance(command, str) else "", act.path, action.resource, action.verb)
        yield from (f'it names "{word}"' for word in policy.words if _names(word, named))
    if gated and act.effect is not EffectClass.READ:
        yield f"what was asked of {role} needs approval"
    if untrusted and act.tier in _OUTSIDE:
        yield "the task has read text from outside"


def word_in_brief(policy: Policy, brief: Brief) -> bool:
    """Whether a brief speaks of something the policy's words guard; then the child's non-read effects are gated."""
    return any(_names(word, (brief.objective, brief.kind, brief.limits)) for word in policy.words)


def _names(word: str, texts: Iterable[str]) -> bool:
    """Whole words, whatever their case. `deploy_site`, `./deploy.sh` and `deployNow` hold `deploy`; `redeploy` does
    not.
    """
    whole = re.compile(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", re.IGNORECASE)
    return bool(word) and any(whole.search(text) or whole.search(_HUMP.sub(" ", text)) for text in texts)


def _people_n(stages: tuple[StageRule, ...]) -> str:
    if len(stages) == 1:
        n = stages[0].approve_n
        return "one approver" if n == 1 else f"{n} approvers"
    return f"{len(stages)} stages of approval" if len(stages) > 2 else "one approver and a second reviewer"


# --- Who can decide -------------------------------------------------------------------------------------------------


def panel_of(team: Team, gates: Gates, initiators: tuple[str, ...], chain: tuple[str, ...]) -> Panel | Failure:
    """Freeze who may decide. Stages are decided by different people; initiators decide only where the tier names it.

    Fewer people than the rule needs: all of them decide, in one stage, labelled. Nobody but the one who asked: they,
    alone, labelled. Nobody: refused.
    """
    entitled = [_entitled(team, rule) for rule in gates.stages]
    barred = () if gates.allow_self else initiators
    stages = tuple(
        Stage(
            eligible=tuple(p for p in people if p not in barred),
            approve_n=max(1, rule.approve_n),
            deny_n=max(1, rule.deny_n),
        )
        for rule, people in zip(gates.stages, entitled, strict=True)
    )
    everybody = _in_order(team, {p for people in entitled for p in people})
    others = tuple(p for p in everybody if p not in barred)
    if not all(entitled):
        return _refused(initiators, chain, "the policy names no approver for every stage")
    if fillable(stages):
        return Panel(label=Label.FULL, stages=tuple(_deniable(stage) for stage in stages))
    if others:
        required = sum(stage.approve_n for stage in stages)
        alone = Stage(eligible=others, approve_n=min(required, len(others)))
        return Panel(label=Label.REDUCED, stages=(alone,))
    if len(everybody) == 1:
        return Panel(label=Label.SINGLE, stages=(Stage(eligible=everybody, approve_n=1),))
    return _refused(initiators, chain, "everybody who may decide has asked for it")


def fillable(stages: Sequence[Stage], taken: frozenset[str] = frozenset()) -> bool:
    """Whether distinct people could fill every stage (Hall's condition), none of them among `taken`."""
    groups = [(frozenset(stage.eligible) - taken, stage.approve_n) for stage in stages]
    return all(
        len(frozenset().union(*(people for people, _ in some))) >= sum(n for _, n in some)
        for size in range(1, len(groups) + 1)
        for some in combinations(groups, size)
    )


def _entitled(team: Team, rule: StageRule) -> tuple[str, ...]:
    return tuple(p.id for p in team.people if p.may_approve and (not rule.people or p.id in rule.people))


def _in_order(team: Team, people: set[str]) -> tuple[str, ...]:
    return tuple(p.id for p in team.people if p.id in people)


def _deniable(stage: Stage) -> Stage:
    """A denial that needs more people than there are could never be given."""
    return Stage(
        eligible=stage.eligible,
        approve_n=stage.approve_n,
        deny_n=min(stage.deny_n, len(stage.eligible)),
    )


def _refused(initiators: tuple[str, ...], chain: tuple[str, ...], why: str) -> Failure:
    asked = " > ".join((", ".join(initiators) or "nobody in person", *chain))
    return Failure(
        what="nobody may decide this",
        why=f"{why} (asked by {asked})",
        recovery="Tell a person: team.yaml needs an owner or approver who did not ask for it",
    )


def stricter(today: Gates | None, then: Inquiry) -> bool:
    """Transition 7: whether today's policy asks for more than the inquiry was opened under.

    How many decide is compared only where the full rule was kept: people who were missing then cannot be what has
    become stricter since.
    """
    if today is None:
        return False
    if severity(today.tier) > severity(then.tier):
        return True
    if (today.verified and not then.verified) or (today.reason_required and not then.reason_required):
        return True
    if then.label is not Label.FULL:
        return False
    needed_then = sum(stage.approve_n for stage in then.stages)
    needed_today = sum(max(1, rule.approve_n) for rule in today.stages)
    own = {p for stage in then.stages for p in stage.eligible} & set(then.initiators)
    return needed_today > needed_then or len(today.stages) > len(then.stages) or (bool(own) and not today.allow_self)
