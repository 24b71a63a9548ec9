"""The policy of a manifest: what its rows mean, and whether people can live by it.

Law: a rule that nobody could ever satisfy is refused when it is read, at the line where it stands, and everybody who
could ever be eligible is counted for it (case_21).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from agents.checks import DIRECT, place_of
from agents.folders import Findings
from agents.manifest import Document, Manifest
from agents.rows import AllowRow, ChangesRow, EscalationRow, EveryRow, ReviewRow, StageRow, TierRow
from core.model.events import Conversation
from core.model.ids import digest_of
from core.model.team import (
    AllowRule,
    BoundRule,
    Escalation,
    EscalationStep,
    Person,
    Policy,
    SetRule,
    StageRule,
    Tier,
    TierRule,
)
from core.rules.absence import DAYS, span_of
from core.rules.actions import RUN_COMMAND
from core.rules.policy import DEFAULT_TIERS, DEFAULT_WORDS, REVIEW, required_n, rule_sets, selects
from core.rules.quorum import can_fill

REMINDERS_MAX = 50
STEPS_MAX = 20
REPEAT_MAX = 20
OUR_ROLES = ("owner", "approver")
_HOUR_MS = 3_600_000
_MINUTE_MS = 60_000

# --- Built ------------------------------------------------------------------------------------------------------------


def default_policy() -> Policy:
    """What holds where team.yaml says nothing."""
    return Policy(tiers=dict(DEFAULT_TIERS), words=DEFAULT_WORDS)


def policy_of(manifest: Manifest) -> Policy:
    """The default policy with what the manifest adds to it, named by the hash of what decides."""
    default, row = default_policy(), manifest.policy
    everywhere = places_of(row.deliver)
    to_each = DIRECT in row.deliver
    shown = {
        tier: msgspec.structs.replace(rule, deliver=everywhere, direct=to_each) for tier, rule in default.tiers.items()
    }
    overrides = {tier: given for tier, given in row.tiers.items() if tier in shown}
    tiers = shown | {tier: _tier(shown[tier], given) for tier, given in overrides.items()}
    added = [word.strip().lower() for word in row.words_add]
    words = tuple(dict.fromkeys((*default.words, *(word for word in added if word))))
    escalations = {name: _escalation(given) for name, given in row.escalations.items()}
    review = _review(row.review)
    allow = tuple(rule for given in row.allow if (rule := allow_of(given, manifest.team.zone)) is not None)
    changes = _changes(row.changes)
    decides = (tiers, words, escalations, row.yes_counts, review, allow, changes)
    return Policy(
        tiers=tiers,
        words=words,
        version=digest_of(msgspec.json.encode(decides, order="sorted")),
        inbox=place_of(row.inbox.channel) if row.inbox else None,
        escalations=escalations,
        yes_counts=row.yes_counts,
        allow=allow,
        review=msgspec.structs.replace(review, deliver=review.deliver or everywhere, direct=to_each),
        brief_triggers=True,
        changes=changes and msgspec.structs.replace(changes, deliver=everywhere, direct=to_each),
    )


def places_of(deliver: tuple[str, ...]) -> tuple[Conversation, ...]:
    """Besides the origin, and besides everybody's private chat."""
    found = (place_of(place) for place in deliver)
    return tuple(place for place in found if place is not None)


def _tier(default: TierRule, row: TierRow) -> TierRule:
    reason = row.reason_required
    given = {
        "decide_ms": None if row.decide_hours is None else round(row.decide_hours * _HOUR_MS),
        "execute_ms": None if row.execute_hours is None else round(row.execute_hours * _HOUR_MS),
        "at_deadline": row.at_deadline,
        "verified": row.verified,
        "allow_self": row.allow_self,
        "reason_required": None if reason is None else reason in {True, "deny", "both"},
        "approve_reason": None if reason is None else reason in {"approve", "both"},
        "deliver": None if row.deliver is None else places_of(row.deliver),
        "direct": None if row.deliver is None else DIRECT in row.deliver,
        "stages": None if row.stages is None else tuple(_stage(stage) for stage in row.stages),
        "remind_ms": None if row.remind_hours is None else _reminders(row.remind_hours),
        "escalation": row.escalation,
        "override": row.override,
        "bounded": row.bounded and BoundRule(count_max=row.bounded.count_max, hours_max=row.bounded.hours_max),
        "may_allow": row.may_allow,
    }
    return msgspec.structs.replace(default, **{name: value for name, value in given.items() if value is not None})


def _review(row: ReviewRow) -> TierRule:
    return msgspec.structs.replace(
        REVIEW,
        stages=(StageRule(approve_n=row.approve, people=row.people, roles=row.roles),),
        decide_ms=round(row.decide_hours * _HOUR_MS),
        allow_self=row.allow_self,
        reason_required=row.reason_required,
    )


def _changes(row: ChangesRow | None) -> TierRule | None:
    if row is None:
        return None
    stage = StageRule(approve_n=row.approve, people=row.people, roles=row.roles)
    return TierRule(stages=(stage,), decide_ms=round(row.decide_hours * _HOUR_MS))


def allow_of(row: AllowRow, zone: str) -> AllowRule | None:
    """The rule, until its day is over where the team is; None if `until` is no day, or the zone none."""
    try:
        after = date.fromisoformat(row.until) + timedelta(days=1)
        until_ms = int(datetime(after.year, after.month, after.day, tzinfo=ZoneInfo(zone)).timestamp() * 1000)
    except (ValueError, OverflowError, OSError, ZoneInfoNotFoundError):
        return None
    return AllowRule(
        tool=row.tool,
        verb=row.verb,
        until_ms=until_ms,
        role=row.role,
        resource=row.resource,
        arguments=row.arguments,
    )


def _stage(row: StageRow) -> StageRule:
    sets = tuple(SetRule(approve_n=one.approve, people=one.people, roles=one.roles) for one in row.sets)
    return StageRule(approve_n=row.approve, deny_n=row.deny, people=row.people, roles=row.roles, sets=sets)


def _reminders(hours: tuple[float, ...] | EveryRow) -> tuple[int, ...]:
    if isinstance(hours, EveryRow):
        hours = tuple(hours.every_hours * (n + 1) for n in range(min(hours.most, REMINDERS_MAX)))
    return tuple(round(one * _HOUR_MS) for one in hours)


def _escalation(row: EscalationRow) -> Escalation:
    return Escalation(
        steps=tuple(
            EscalationStep(
                after_ms=round(step.after_minutes * _MINUTE_MS),
                to=step.to,
                deliver=places_of(step.deliver),
                replace=step.replace,
                direct=DIRECT in step.deliver,
            )
            for step in row.steps
        ),
        repeat_n=row.repeat,
    )


# --- Checked ----------------------------------------------------------------------------------------------------------


def check_policy(document: Document[Manifest], merged: Policy, found: Findings) -> None:
    """Whether people can meet the rules of each tier, at each step of an escalation, and which became weaker."""
    if document.value is None:
        return
    checks = _Checks(document, document.value, merged, found)
    for person in range(len(document.value.people)):
        checks.quiet(person)
    for tier in document.value.policy.tiers:
        if tier in merged.tiers:
            checks.stages(tier)
            checks.tier(tier)
    for name in document.value.policy.escalations:
        checks.escalation(name)
    checks.words()
    checks.allowed()
    checks.review()
    checks.changes()
    checks.directs()


class _Checks:
    def __init__(self, document: Document[Manifest], manifest: Manifest, merged: Policy, found: Findings) -> None:
        self._document = document
        self._all = manifest
        self._merged = merged
        self._found = found
        self._people = {row.id: Person(id=row.id, name=row.name, role=row.role) for row in manifest.people}

    def _fail(self, what: str, expected: str, *path: str | int) -> None:
        self._found.fail(what, expected, file=self._document.file, line=self._document.line(*path))

    def quiet(self, n: int) -> None:
        """Hours that are hours, and a week that is not all quiet."""
        row = self._all.people[n]
        if row.quiet and span_of(row.quiet) is None:
            self._fail(f"quiet: {row.quiet!r}", 'two times of day, as in "18:00-09:00"', "people", n, "quiet")
        if set(row.quiet_days) == set(DAYS):
            self._fail(f"{row.id} is never awake", "a day that is not quiet", "people", n, "quiet_days")

    # --- Who decides --------------------------------------------------------------------------------------------------

    def stages(self, tier: str) -> None:
        """Each set, each stage, and all stages together can be filled; and everybody named is somebody."""
        rows, rules = self._all.policy.tiers[tier].stages or (), self._merged.tiers[tier].stages
        whole = True
        for n, row in enumerate(rows):
            path = ("policy", "tiers", tier, "stages", n)
            whole = self._stage(row, rules[n], path) and whole
        groups = [(self._of(one), one.approve_n) for rule in rules for one in rule_sets(rule)]
        if rows and whole and not can_fill(groups):
            few = f"the stages of {tier} need different people, and there are too few"
            self._fail(few, "more people, or fewer stages", "policy", "tiers", tier)

    def _stage(self, row: StageRow, rule: StageRule, path: tuple[str | int, ...]) -> bool:
        if row.sets and (row.people or row.roles or row.approve != 1):
            mixed = "sets beside approve, people or roles"
            self._fail(mixed, "all of it in the sets", *path)
            return False
        whole = True
        for m, one in enumerate(rule_sets(rule)):
            at = (*path, "sets", m) if row.sets else path
            whole = self._set(one, at) and whole
        if not whole:
            return False
        groups = [(self._of(one), one.approve_n) for one in rule_sets(rule)]
        everybody = {p for who, _ in groups for p in who}
        if rule.deny_n > len(everybody):
            self._fail(f"{rule.deny_n} must deny, and {len(everybody)} can", f"at most {len(everybody)}", *path)
            return False
        if not can_fill(groups):
            self._fail("its sets need different people, and there are too few", "more people, or fewer sets", *path)
            return False
        return True

    def _set(self, rule: SetRule, path: tuple[str | int, ...]) -> bool:
        wrong = False
        for name in rule.people:
            if name not in self._people:
                self._fail(f"unknown person {name}", f"one of: {', '.join(self._people)}", *path)
            elif not self._people[name].may_approve:
                self._fail(f"{name} may not approve", "owner or approver", *path)
            wrong = wrong or name not in self._people or not self._people[name].may_approve
        who = self._of(rule)
        if not wrong and rule.approve_n > len(who):
            few = f"{rule.approve_n} must approve, and {len(who)} can"
            self._fail(few, f"at most {len(who)}, or more people", *path)
        return not wrong and rule.approve_n <= len(who)

    def _of(self, rule: SetRule) -> frozenset[str]:
        """Everybody who could ever be eligible."""
        return frozenset(p.id for p in self._people.values() if selects(rule, p))

    # --- What happens meanwhile ---------------------------------------------------------------------------------------

    def tier(self, tier: str) -> None:
        """Reminders in order, an escalation that exists, and whether the tier became weaker."""
        row, path = self._all.policy.tiers[tier], ("policy", "tiers", tier)
        names = self._all.policy.escalations
        if row.escalation is not None and row.escalation not in names:
            expected = f"one of: {', '.join(names) or 'none yet, in policy.escalations'}"
            self._fail(f"unknown escalation {row.escalation}", expected, *path, "escalation")
        hours = row.remind_hours
        if isinstance(hours, EveryRow) and hours.most > REMINDERS_MAX:
            self._fail(f"most: {hours.most}", f"at most {REMINDERS_MAX}", *path, "remind_hours", "most")
        elif isinstance(hours, tuple) and (list(hours) != sorted(set(hours)) or len(hours) > REMINDERS_MAX):
            expected = f"each later than the one before, {REMINDERS_MAX} at most"
            self._fail("reminders out of order", expected, *path, "remind_hours")
        if _weaker(self._merged.tiers[tier], DEFAULT_TIERS[tier]):
            self._found.notice(
                f"{tier} needs less than it does by default", file=self._document.file, line=self._document.line(*path)
            )

    def escalation(self, name: str) -> None:
        """Steps that follow each other, ask somebody who is there, and leave enough to decide."""
        row, path = self._all.policy.escalations[name], ("policy", "escalations", name)
        if len(row.steps) > STEPS_MAX or row.repeat > REPEAT_MAX:
            self._fail(f"{name} goes on too long", f"{STEPS_MAX} steps, repeated {REPEAT_MAX} times, at most", *path)
        if row.repeat and not row.steps[-1].after_minutes:
            self._fail(f"a round of {name} takes no time", "a last step that is later", *path, "repeat")
        before = -1.0
        for n, step in enumerate(row.steps):
            at = (*path, "steps", n)
            if step.after_minutes <= before:
                self._fail("after_minutes: no later than the step before", "more minutes for each step", *at)
            before = step.after_minutes
            if not step.to and not step.deliver:
                self._fail("it asks nobody", "to: [...], deliver: [...], or both", *at)
            for who in step.to:
                if who not in self._people and who not in OUR_ROLES:
                    expected = f"one of: {', '.join((*OUR_ROLES, *self._people))}"
                    self._fail(f"unknown person {who}", expected, *at, "to")
            for m, place in enumerate(step.deliver):
                if place != DIRECT and place_of(place) is None:
                    expected = "direct, or platform:account/channel, as in slack:T01/C42"
                    self._fail(f"{place!r} is no place", expected, *at, "deliver", m)
            if step.replace and step.to:
                self._leaves_enough(name, step.to, at)

    def _leaves_enough(self, name: str, to: Sequence[str], path: tuple[str | int, ...]) -> None:
        """Those who replace everybody must be able to decide it, in every tier that escalates so."""
        called = {p.id for p in self._people.values() if p.id in to or p.role in to}
        for tier, rule in self._merged.tiers.items():
            groups = [(self._of(one) & called, one.approve_n) for stage in rule.stages for one in rule_sets(stage)]
            if rule.escalation == name and not can_fill(groups):
                few = f"those who replace the others could not decide {tier}"
                self._fail(few, "more people in to, or no replace", *path)

    def allowed(self) -> None:
        """Each rule names something that exists, and a day; infrastructure only where the tier says so."""
        for n, row in enumerate(self._all.policy.allow):
            path = ("policy", "allow", n)
            if allow_of(row, "UTC") is None:
                self._fail(f"until: {row.until!r}", 'a day, as in "2027-01-31"', *path, "until")
            roles = {one.id for one in self._all.roles}
            if row.role and row.role not in roles:
                self._fail(f"unknown role {row.role}", f"one of: {', '.join(sorted(roles))}", *path, "role")
            command = self._all.commands.get(row.verb) if row.tool == RUN_COMMAND else None
            if row.tool == RUN_COMMAND and command is None:
                expected = f"one of: {', '.join(self._all.commands) or 'none yet, in commands'}"
                self._fail(f"unknown command {row.verb}", expected, *path, "verb")
            infrastructure = self._merged.tiers[Tier.INFRASTRUCTURE.value]
            if command is not None and command.tier == Tier.INFRASTRUCTURE.value and not infrastructure.may_allow:
                refused = "infrastructure may not be allowed for good"
                self._fail(refused, "policy.tiers.infrastructure.may_allow: true, or no rule", *path)

    def review(self) -> None:
        """Somebody can look at the handoffs that need it."""
        reviewed = [n for n, one in enumerate(self._all.roles) if one.permissions.requires_review]
        rule = self._merged.review
        if rule is None or (not reviewed and self._all.policy.review == ReviewRow()):
            return
        for stage in rule.stages:
            for one in rule_sets(stage):
                asked = self._all.policy.review != ReviewRow()
                self._set(one, ("policy", "review") if asked else ("roles", reviewed[0], "permissions"))

    def changes(self) -> None:
        """Somebody can approve what people edit; else nothing could ever be in force again."""
        rule = self._merged.changes
        for stage in rule.stages if rule else ():
            for one in rule_sets(stage):
                self._set(one, ("policy", "changes"))

    def directs(self) -> None:
        """Somebody who may approve can be written to, where that is how they are to hear of it."""
        policy = self._all.policy
        lists: list[tuple[tuple[str, ...], tuple[str | int, ...]]] = [(policy.deliver, ("policy", "deliver"))]
        lists += [(row.deliver or (), ("policy", "tiers", name, "deliver")) for name, row in policy.tiers.items()]
        lists += [
            (step.deliver, ("policy", "escalations", name, "steps", n, "deliver"))
            for name, row in policy.escalations.items()
            for n, step in enumerate(row.steps)
        ]
        unknown = [row.name for row in self._all.people if self._people[row.id].may_approve and not row.accounts]
        for places, path in lists:
            for n, place in enumerate(places):
                if place in places[:n] and place == DIRECT:
                    self._fail("direct is said twice", "direct once", *path, n)
            if DIRECT in places and unknown:
                told = f"{', '.join(unknown)}: direct reaches nobody without an account, here or linked with /link"
                self._found.notice(told, file=self._document.file, line=self._document.line(*path))

    def words(self) -> None:
        """A word is a word."""
        for n, word in enumerate(self._all.policy.words_add):
            if not word.strip():
                self._fail("an empty word", "a word that occurs in tools, commands, paths", "policy", "words_add", n)


def _weaker(ours: TierRule, default: TierRule) -> bool:
    fewer = len(ours.stages) < len(default.stages) or any(
        required_n((mine,)) < required_n((theirs,)) for mine, theirs in zip(ours.stages, default.stages, strict=False)
    )
    alone = ours.override or (ours.allow_self and not default.allow_self)
    return fewer or alone or (default.verified and not ours.verified)
