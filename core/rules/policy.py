"""Who must be asked before an act, and who of them may decide (INQUIRIES.md, Tiers and words; Who can decide).

A floor only ever adds: a tier says what its acts need, and words, briefs and untrusted text each make that at least one
approver. All of it merges into one inquiry. Where nobody is entitled, the act is refused, never let through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from core.model.inquiries import Inquiry, Kind, Label, Quorum, Stage
from core.model.team import AllowRule, EffectClass, Json, Person, Policy, SetRule, StageRule, Team, Tier, TierRule
from core.model.work import Brief, Failure
from core.rules.actions import Act
from core.rules.canonical import canonical
from core.rules.quorum import can_fill, groups_of, sets_of, stage_of

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
REVIEW = TierRule(stages=_ONE)
"""Of a handoff that a person looks at first, where the policy says nothing else."""
OWNERS = TierRule(stages=(StageRule(roles=("owner",)),), decide_ms=7 * DAY_MS)
"""Of a change of the policy itself."""
CHANGE = "change"
"""The verb of what puts edited files in force."""
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
    approve_reason: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Who decides, frozen when the inquiry is made, and how much of the rule that keeps."""

    label: Label
    stages: tuple[Stage, ...]


def severity(tier: Tier) -> int:
    """Tiers in order, mildest 0."""
    return _SEVERITY.index(tier)


def gates_of(team: Team, role: str, act: Act, *, gated: bool, untrusted: bool, now_ms: int = 0) -> Gates | None:
    """What the act needs; None if it runs at once. What is allowed for good counts as of `now_ms`; at 0 nothing is."""
    rule = rule_of(team.policy, act.tier)
    reasons = []
    allowed = allowed_by(team.policy, role, act, now_ms)
    if rule.stages and allowed is None:
        reasons.append(f"{act.tier.value} actions need {_people_n(rule.stages)}")
    named = allowed is not None and _names_all_of(allowed, act)
    floors = [*_floors(team.policy, role, act, gated=gated, untrusted=untrusted, words=not named)]
    if (not rule.stages or allowed is not None) and not floors:
        return None
    return Gates(
        tier=act.tier,
        # A floor says how many decide, not how fast: the times stay those of the tier.
        stages=stages_or_one(rule),
        decide_ms=rule.decide_ms,
        execute_ms=rule.execute_ms,
        at_deadline=rule.at_deadline,
        reasons=(*reasons, *floors),
        verified=rule.verified,
        reason_required=rule.reason_required,
        allow_self=rule.allow_self,
        approve_reason=rule.approve_reason,
    )


def rule_of(policy: Policy, tier: Tier) -> TierRule:
    """The rule of a tier; the default where the policy leaves it out, so that a gap opens nothing."""
    return policy.tiers.get(tier.value, DEFAULT_TIERS[tier.value])


def rule_for(policy: Policy, inquiry: Inquiry) -> TierRule:
    """The rule an inquiry stands under: of handoffs and of the policy itself it is not a tier's."""
    if inquiry.kind is Kind.REVIEW:
        return policy.review or REVIEW
    if inquiry.kind is Kind.POLICY:
        changes = inquiry.action is not None and inquiry.action.verb == CHANGE
        return (policy.changes if changes else None) or OWNERS
    return rule_of(policy, inquiry.tier)


def stages_or_one(rule: TierRule) -> tuple[StageRule, ...]:
    """Its stages; one approver where it has none, and something else asks for a person."""
    return rule.stages or _ONE


def allowed_by(policy: Policy, role: str, act: Act, now_ms: int) -> AllowRule | None:
    """The rule of `Policy.allow` under which this act needs nobody; one that names all of it comes first."""
    action = act.action
    if act.tier is Tier.INFRASTRUCTURE and not rule_of(policy, act.tier).may_allow:
        return None
    fits = [
        rule
        for rule in policy.allow
        if (rule.tool, rule.verb) == (action.tool, action.verb)
        and rule.role in {"", role}
        and rule.resource in {"", action.resource}
        and all(k in action.arguments and _same(value, action.arguments[k]) for k, value in rule.arguments.items())
        and 0 < now_ms < rule.until_ms
    ]
    return next((rule for rule in fits if _names_all_of(rule, act)), fits[0] if fits else None)


def _names_all_of(rule: AllowRule, act: Act) -> bool:
    """Whether a rule names the very resource and arguments: then its owner has seen every word of them."""
    return rule.resource == act.action.resource and _same(rule.arguments, act.action.arguments)


def _same(one: Json, other: Json) -> bool:
    """JSON tells `1` from `true`."""
    return canonical(one) == canonical(other)


def _floors(policy: Policy, role: str, act: Act, *, gated: bool, untrusted: bool, words: bool) -> Iterable[str]:
    action = act.action
    # Looking at something is not doing it: `status --site production` must not need a person.
    only_looks = act.effect is EffectClass.READ and act.tier in {Tier.READ, Tier.INTERNAL}
    if words and not only_looks:
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
        n = required_n(stages)
        return "one approver" if n == 1 else f"{n} approvers"
    return f"{len(stages)} stages of approval" if len(stages) > 2 else "one approver and a second reviewer"


# --- Who can decide -------------------------------------------------------------------------------------------------


def panel_of(team: Team, gates: Gates, initiators: tuple[str, ...], chain: tuple[str, ...]) -> Panel | Failure:
    """Freeze who may decide. Stages are decided by different people; initiators decide only where the tier names it.

    Fewer people than the rule needs: all of them decide, in one stage, labelled. Nobody but the one who asked: they,
    alone, labelled. Nobody: refused.
    """
    meant = [[entitled(team, one) for one in rule_sets(rule)] for rule in gates.stages]
    barred = () if gates.allow_self else initiators
    stages = tuple(
        stage_of(
            [
                Quorum(eligible=tuple(p for p in people if p not in barred), approve_n=max(1, one.approve_n))
                for one, people in zip(rule_sets(rule), sets, strict=True)
            ],
            deny_n=max(1, rule.deny_n),
        )
        for rule, sets in zip(gates.stages, meant, strict=True)
    )
    everybody = _in_order(team, {p for sets in meant for people in sets for p in people})
    others = tuple(p for p in everybody if p not in barred)
    if not all(people for sets in meant for people in sets):
        return _refused(initiators, chain, "the policy names no approver for every stage")
    if fillable(stages):
        return Panel(label=Label.FULL, stages=tuple(_deniable(stage) for stage in stages))
    if others:
        alone = Stage(eligible=others, approve_n=min(required_n(gates.stages), len(others)))
        return Panel(label=Label.REDUCED, stages=(alone,))
    if len(everybody) == 1:
        return Panel(label=Label.SINGLE, stages=(Stage(eligible=everybody, approve_n=1),))
    return _refused(initiators, chain, "everybody who may decide has asked for it")


def fillable(stages: Sequence[Stage], taken: frozenset[str] = frozenset()) -> bool:
    """Whether distinct people could fill every set of every stage, none of them among `taken`."""
    return can_fill([(frozenset(who) - taken, n) for stage in stages for who, n in groups_of(stage)])


def rule_sets(rule: StageRule) -> tuple[SetRule, ...]:
    """The sets of a stage's rule; the short form is one."""
    return rule.sets or (SetRule(approve_n=rule.approve_n, people=rule.people, roles=rule.roles),)


def required_n(stages: Iterable[StageRule]) -> int:
    """How many people a rule takes in all."""
    return sum(max(1, one.approve_n) for rule in stages for one in rule_sets(rule))


def selects(rule: SetRule, person: Person) -> bool:
    """Whether a set's selector means this person, who must be one who may approve at all."""
    named = person.id in rule.people or person.role in rule.roles
    return person.may_approve and (named or not (rule.people or rule.roles))


def entitled(team: Team, rule: SetRule) -> tuple[str, ...]:
    """Everybody whom a set's selector means."""
    return tuple(p.id for p in team.people if selects(rule, p))


def _in_order(team: Team, people: set[str]) -> tuple[str, ...]:
    return tuple(p.id for p in team.people if p.id in people)


def _deniable(stage: Stage) -> Stage:
    """A denial that needs more people than there are could never be given."""
    return msgspec.structs.replace(stage, deny_n=min(stage.deny_n, len(stage.eligible)))


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
    if today.approve_reason and not then.approve_reason:
        return True
    if then.label is not Label.FULL:
        return False
    needed_then = sum(stage.approve_n for stage in then.stages)
    needed_today = required_n(today.stages)
    sets_today, sets_then = (
        sum(len(rule_sets(rule)) for rule in today.stages),
        sum(len(sets_of(s)) for s in then.stages),
    )
    own = {p for stage in then.stages for p in stage.eligible} & set(then.initiators)
    more = needed_today > needed_then or len(today.stages) > len(then.stages) or sets_today > sets_then
    return more or (bool(own) and not today.allow_self)


def not_meant(team: Team, today: Gates, then: Inquiry, by: Iterable[str]) -> bool:
    """Whether somebody approved under the full rule whom none of today's selectors means any more. An escalation's `to`
    is no selector: it calls people whom the tier's own could mean, and whoever came by it needs to be meant still.
    """
    if then.label is not Label.FULL:
        return False
    meant = {p for rule in today.stages for one in rule_sets(rule) for p in entitled(team, one)}
    return not meant.issuperset(by)
