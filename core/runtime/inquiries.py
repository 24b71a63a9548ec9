"""Apply what people, deadlines and tasks do to inquiries: each is decided purely, and is one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from core.model.events import Conversation
from core.model.ids import InquiryId, PersonId, SignalId, post_of
from core.model.inquiries import DeliveryState, GrantState, Inquiry, InquiryState, Vote
from core.model.signals import DecideBy, ExecuteBy, VerdictReport, Withdraw
from core.model.team import Person, Team
from core.model.unit import (
    Applied,
    Change,
    CloseSignal,
    Guard,
    InquiryRow,
    MoveDelivery,
    MoveGrant,
    PutGrant,
    PutInquiry,
    PutVote,
    State,
    Table,
    Version,
)
from core.model.views import Line, Post
from core.rules import inquiry as rules
from core.rules import notes, replies, views
from core.rules import plan as plans
from core.rules.inquiry import Decision, Press, Standing
from core.rules.plan import Plan
from core.runtime.context import Context
from core.runtime.deciding import StaleError

TRIES_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a decision came to: the line for the one who pressed, and the inquiry as it is now."""

    note: str
    inquiry: Inquiry | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a decision is made from, read just before it."""

    row: InquiryRow
    team: Team
    task_alive: bool
    fingerprint_now: str | None


async def apply(
    context: Context,
    inquiry_id: InquiryId,
    decide: Callable[[Facts], Decision],
    *,
    guards: tuple[Guard, ...] = (),
    changes: tuple[Change, ...] = (),
    note_to: tuple[Conversation, str] | None = None,
    by: tuple[str, str] = ("", ""),
) -> Outcome:
    """Decide and commit, again and again until nobody was faster. `guards` and `changes` (closing the event or signal)
    are committed even when the inquiry stays as it is. `note_to`: where the note goes, and a key that makes its id.
    `by`: principal and account, for the audit. Raises StaleError when the guards fail, LookupError for an inquiry
    that does not exist.
    """
    for _ in range(TRIES_MAX):
        row = await context.store.read.inquiry(inquiry_id)
        if row is None:
            raise LookupError(inquiry_id)
        task = await context.store.read.task(row.inquiry.task)
        team = await context.team()
        alive = task is not None and not task.phase.final
        decision = decide(Facts(row, team, alive, _fingerprint_now(context, row.inquiry)))
        plan = context.plan(context.env(team))
        plan.guards.extend(guards)
        plan.changes.extend(changes)
        if decision.changed:
            write(plan, row, decision, by)
        elif decision.note == notes.STALE and row.inquiry.state.active and note_to is not None:
            plans.draw(plan, row.inquiry, row.votes, note_to[1])  # the newest version may never have arrived
        if note_to is not None and decision.note:
            _note(plan, decision.note, *note_to)
        if decision.changed:
            plan.roots.add(row.inquiry.root)
        answer = await context.commit(plan)
        if isinstance(answer, Applied):
            return Outcome(note=decision.note, inquiry=decision.inquiry)
        if not (isinstance(answer.guard, Version) or (isinstance(answer.guard, State) and answer.guard not in guards)):
            raise StaleError(str(answer))
    raise StaleError(f"{inquiry_id}: {TRIES_MAX} tries")


def _fingerprint_now(context: Context, inquiry: Inquiry) -> str | None:
    if inquiry.action is None:
        return None
    return context.fingerprint(inquiry.action.tool, inquiry.action.arguments)


def _note(plan: Plan, note: str, conversation: Conversation, key: str) -> None:
    post_id = post_of("note", key)
    line = Line(text=note, private=True)
    plan.post(Post(id=post_id, conversation=conversation, view=line, slot=post_id, rank=0, at_ms=plan.env.now_ms))


def write(plan: Plan, row: InquiryRow, decision: Decision, by: tuple[str, str]) -> None:
    """Everything a decision changes, in one transaction."""
    before = row.inquiry
    after = msgspec.structs.replace(decision.inquiry, version=before.version + 1, updated_at_ms=plan.env.now_ms)
    plan.guards.append(Version(table=Table.INQUIRY, id=before.id, version=before.version))
    plan.changes.append(PutInquiry(inquiry=after))
    if decision.vote is not None:
        plan.changes.append(PutVote(vote=decision.vote))
        plan.audit(
            before.id,
            decision.vote.callback,
            "vote.cast",
            verb=decision.vote.verb.value,
            revision=decision.vote.revision,
            reason=decision.vote.reason,
            principal=by[0],
            account=by[1],
        )
    for grant_id, state in ((decision.revoke, GrantState.REVOKED), (decision.expire, GrantState.EXPIRED)):
        if grant_id is not None:
            plan.guards.append(State(table=Table.GRANT, id=grant_id, states=(GrantState.LIVE.value,)))
            plan.changes.append(MoveGrant(id=grant_id, state=state))
            plan.audit(before.id, after.version, f"grant.{state.value}", grant=grant_id)
    if decision.grant is not None:
        plan.changes.append(PutGrant(grant=decision.grant))
        expiry = ExecuteBy(grant=decision.grant.id)
        plan.signal(f"{decision.grant.id}:execute-by", before.task, expiry, decision.grant.execute_by_ms)
        plan.audit(before.id, after.version, "grant.minted", grant=decision.grant.id, digest=decision.grant.digest)
    if decision.verdict is not None:
        report = VerdictReport(call=before.call, verdict=decision.verdict)
        plan.signal(f"{before.id}:{after.version}:verdict", before.task, report)
    plan.audit(before.id, after.version, "inquiry.moved", state=after.state.value, transition=decision.transition)
    _show_again(plan, before, after, _votes_after(row.votes, decision.vote))


def _votes_after(votes: tuple[Vote, ...], cast: Vote | None) -> tuple[Vote, ...]:
    """The active votes, as they are once this one is written."""
    if cast is None:
        return votes
    others = tuple(v for v in votes if (v.stage, v.principal) != (cast.stage, cast.principal))
    return (*others, cast) if cast.active else others


def _show_again(plan: Plan, before: Inquiry, after: Inquiry, votes: tuple[Vote, ...]) -> None:
    """Keep every place it was shown true (transition 19)."""
    if after.state.final:
        plan.changes.append(CloseSignal(id=SignalId(f"{before.id}:{before.revision}:decide-by")))
        decided(plan, after)
    elif after.revision != before.revision:
        plans.show(plan, after)
        plans.set_decide_by(plan, after)
    elif after.decide_by_ms != before.decide_by_ms:
        plans.set_decide_by(plan, after)
    if not after.state.final and after.revision == before.revision and _shown_differently(before, after):
        plans.draw(plan, after, votes)


def _shown_differently(before: Inquiry, after: Inquiry) -> bool:
    shown = (InquiryState.CREATED, InquiryState.UNDELIVERABLE)
    moved = before.state is not after.state and before.state not in shown
    same = (before.stage, before.overdue, before.pressed_once) == (after.stage, after.overdue, after.pressed_once)
    return moved or not same


def decided(plan: Plan, inquiry: Inquiry, outcome: str = "") -> None:
    """The card as it stays: who decided what and when, and what came of it."""
    plan.post(
        Post(
            id=post_of(inquiry.id, inquiry.revision, "decided", inquiry.state.value, outcome),
            conversation=inquiry.conversation,
            view=views.decided_card(inquiry, plan.team, plan.env.now_ms, outcome),
            slot=plans.card_slot(inquiry),
            rank=0,
            at_ms=plan.env.now_ms,
        )
    )
    plan.changes.append(MoveDelivery(id=f"{inquiry.id}:{inquiry.revision}", state=DeliveryState.FINALISED))


async def show_open(context: Context, platform: str, occasion: str) -> None:
    """Draw every active inquiry of a platform again: its screen is new (a terminal forgets), or was lost."""
    plan = context.plan(context.env(await context.team()))
    for inquiry in await context.store.read.inquiries():
        row = await context.store.read.inquiry(inquiry.id)
        if row is not None and inquiry.conversation.platform == platform and row.inquiry.state.active:
            plans.draw(plan, row.inquiry, row.votes, occasion)
    await context.commit(plan)


async def press(
    context: Context,
    inquiry_id: InquiryId,
    pressed: Press,
    person: Person | None,
    *,
    guards: tuple[Guard, ...],
    changes: tuple[Change, ...],
    note_to: tuple[Conversation, str],
) -> Outcome:
    """A person does something to an inquiry. `revision` 0 in the press means: the one that is current (a command)."""

    def decide(facts: Facts) -> Decision:
        row, now_ms = facts.row, context.clock.now_ms()
        standing = standing_of(person, now_ms)
        current = pressed
        if pressed.revision == 0:
            current = replace(pressed, revision=row.inquiry.revision)
        judged = rules.press(
            row,
            current,
            standing,
            facts.team,
            now_ms,
            task_alive=facts.task_alive,
            fingerprint_now=facts.fingerprint_now,
        )
        if judged.comment is None or person is None:
            return judged
        question = replies.asks_back(person.name, judged.comment)
        return replace(rules.withdraw(row, question, person.id, now_ms), note=replies.ASKED_BACK)

    by = (person.id if person else "", pressed.account)
    return await apply(context, inquiry_id, decide, guards=guards, changes=changes, note_to=note_to, by=by)


def standing_of(person: Person | None, now_ms: int) -> Standing:
    """What a person may do, by the manifest as it is now. (Platforms' own roles join this with the adapters.)"""
    return Standing(
        principal=PersonId(person.id) if person else PersonId(""),
        may_approve=person.may_approve if person else False,
        checked_at_ms=now_ms,
    )


async def deadline(context: Context, errand: DecideBy, guards: tuple[Guard, ...], changes: tuple[Change, ...]) -> None:
    """Transition 14, if the revision is still the one the timer was set for."""

    def decide(facts: Facts) -> Decision:
        if facts.row.inquiry.revision != errand.revision:
            return Decision(inquiry=facts.row.inquiry)
        return rules.deadline(facts.row, context.clock.now_ms())

    await apply(context, errand.inquiry, decide, guards=guards, changes=changes)


async def withdraw(context: Context, errand: Withdraw, guards: tuple[Guard, ...], changes: tuple[Change, ...]) -> None:
    """Transition 13: its task no longer needs it."""

    def decide(facts: Facts) -> Decision:
        return rules.withdraw(facts.row, errand.reason, "", context.clock.now_ms())

    await apply(context, errand.inquiry, decide, guards=guards, changes=changes)


async def expire(context: Context, errand: ExecuteBy, guards: tuple[Guard, ...], changes: tuple[Change, ...]) -> None:
    """Transition 16's other end: a grant ran out unused. Raises LookupError for a grant nobody knows."""
    grant = await context.store.read.grant(errand.grant)
    if grant is None:
        raise LookupError(errand.grant)

    def decide(facts: Facts) -> Decision:
        newest = facts.row.grant
        if newest is None or newest.id != errand.grant:
            return Decision(inquiry=facts.row.inquiry)
        return rules.expire_grant(facts.row, context.clock.now_ms())

    await apply(context, grant.inquiry, decide, guards=guards, changes=changes)
