"""Apply what people, deadlines and tasks do to inquiries: each is decided purely, and is one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from core.model.events import Conversation
from core.model.ids import InquiryId, post_of, short
from core.model.inquiries import DeliveryState, GrantState, Inquiry, InquiryState, Kind, Verb, Vote
from core.model.signals import Comment, DecideBy, ExecuteBy, Recheck, Withdraw
from core.model.team import Absence, Json, Person, Team
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
from core.model.views import InquiryCard, Line, Post
from core.model.work import Task
from core.rules import auditing, changing, notes, replies, views, words
from core.rules import inquiry as rules
from core.rules import plan as plans
from core.rules.decisions import QUESTIONS
from core.rules.inquiry import Decision, Press, Standing
from core.rules.opening import asked_anew
from core.rules.plan import Plan
from core.rules.waiting import step_due_ms
from core.runtime import reopening, verdicts
from core.runtime.away import absences_of, stand_ins
from core.runtime.context import Context, log
from core.runtime.directs import directs_of, where_asked
from core.runtime.stale import StaleError
from core.runtime.standing import DECIDES, OWNS, cast_in, look_again_ms, standing_of, standings_of

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
    standings: tuple[Standing, ...]
    directs: Mapping[str, Conversation]


async def apply(
    context: Context,
    inquiry_id: InquiryId,
    decide: Callable[[Facts], Decision],
    *,
    ask: Callable[[InquiryRow, Team], Awaitable[tuple[Standing, ...]]] | None = None,
    guards: tuple[Guard, ...] = (),
    changes: tuple[Change, ...] = (),
    note_to: tuple[Conversation, str] | None = None,
    by: tuple[str, str] = ("", ""),
    pressed: Press | None = None,
    then: Callable[[Plan, InquiryRow, Decision], None] | None = None,
) -> Outcome:
    """Decide and commit, again and again until nobody was faster. `guards` and `changes` (closing the event or signal)
    are committed even when the inquiry stays as it is. `note_to`: where the note goes, and a key that makes its id.
    `by` and `pressed`: principal, account and press, for the audit. `ask` looks up whose standing the decision needs.
    `then` adds to what is committed, whether the inquiry changes or not.
    Raises StaleError when the guards fail, LookupError for an inquiry that does not exist.
    """
    for _ in range(TRIES_MAX):
        row = await context.store.read.inquiry(inquiry_id)
        if row is None:
            raise LookupError(inquiry_id)
        task = await context.store.read.task(row.inquiry.task)
        team = await context.team()
        alive = is_alive(row.inquiry, task)
        standings = await ask(row, team) if ask else ()
        directs = await directs_of(context, team, row.inquiry.conversation, row.inquiry.initiators)
        decision = decide(Facts(row, team, alive, fingerprint_now(context, row.inquiry), standings, directs))
        plan = context.plan(context.env(team, directs=directs, stand_ins=await stand_ins(context)))
        plan.guards.extend(guards)
        plan.changes.extend(changes)
        if reopening.reopens(row, decision) and not await reopening.reopen(context, plan, task, row):
            decision = Decision(inquiry=row.inquiry, note=notes.TOO_LATE_TO_EDIT)
        if decision.changed:
            write(plan, row, decision, by)
        elif decision.note == notes.STALE and row.inquiry.state.active and note_to is not None:
            plans.draw(plan, row.inquiry, row.votes, note_to[1])  # the newest version may never have arrived
        if note_to is not None and decision.note:
            note(plan, decision.note, *note_to, to=by[1])
        if pressed is not None and decision.note and not decision.changed:
            refuse(plan, row.inquiry, pressed, decision.note)
        look_again(plan, row, decision, standings)
        if then is not None:
            then(plan, row, decision)
        if decision.changed:
            plan.roots.add(row.inquiry.root)
        answer = await context.commit(plan)
        if isinstance(answer, Applied):
            return Outcome(note=decision.note, inquiry=decision.inquiry)
        if not (isinstance(answer.guard, Version) or (isinstance(answer.guard, State) and answer.guard not in guards)):
            raise StaleError(str(answer))
    raise StaleError(f"{inquiry_id}: {TRIES_MAX} tries")


def is_alive(inquiry: Inquiry, task: Task | None) -> bool:
    """Whether an answer still counts for somebody: a change of the policy outlives the work that gave rise to it."""
    return inquiry.kind is Kind.POLICY or (task is not None and not task.phase.final)


def fingerprint_now(context: Context, inquiry: Inquiry) -> str | None:
    """Of the program an action would run, as it is now; None for what is no action."""
    if inquiry.action is None:
        return None
    if changing.is_change(inquiry):
        return context.drafts.edition().version if context.drafts is not None else None
    if inquiry.kind is Kind.POLICY:
        return context.laws.fingerprint() if context.laws is not None else None
    return context.fingerprint(inquiry.action.tool, inquiry.action.arguments)


def note(plan: Plan, text: str, conversation: Conversation, key: str, *, to: str) -> None:
    """A private line to whoever pressed."""
    post_id = post_of("note", key)
    line = Line(text=text, private=True, to=to, event=key)
    plan.post(Post(id=post_id, conversation=conversation, view=line, slot=post_id, rank=0, at_ms=plan.env.now_ms))


def refuse(plan: Plan, inquiry: Inquiry, pressed: Press, why: str) -> None:
    """A press that did not count is on record, too: whose it was, and why it did not."""
    who = {"principal": pressed.principal or "", "account": pressed.account}
    plan.audit(inquiry.id, pressed.callback, "press.refused", **who, **auditing.refused(pressed, why))


def look_again(plan: Plan, row: InquiryRow, decision: Decision, standings: tuple[Standing, ...]) -> None:
    """A vote that waits for its voter's standing is looked at again, whatever happens meanwhile."""
    inquiry, votes = decision.inquiry, _votes_after(row.votes, decision.vote)
    due_ms = look_again_ms(votes, standings, plan.env.now_ms, changed=decision.changed)
    if due_ms is None or inquiry.state.final:
        return
    version = row.inquiry.version + decision.changed
    errand = Recheck(inquiry=inquiry.id, revision=inquiry.revision)
    plan.signal(f"{inquiry.id}:{inquiry.revision}:recheck:{version}:{due_ms}", inquiry.task, errand, due_ms)


def write(plan: Plan, row: InquiryRow, decision: Decision, by: tuple[str, str]) -> None:
    """Everything a decision changes, in one transaction."""
    before = row.inquiry
    after = msgspec.structs.replace(decision.inquiry, version=before.version + 1, updated_at_ms=plan.env.now_ms)
    if after.overdue and not before.overdue:
        after = _in_inbox(plan.team, after)
    if after.revision != before.revision:
        after = asked_anew(msgspec.structs.replace(after, places=plans.places_of(plan, after)), plan.env.now_ms)
    plan.guards.append(Version(table=Table.INQUIRY, id=before.id, version=before.version))
    plan.changes.append(PutInquiry(inquiry=after))
    if decision.vote is not None:
        by = by if by[0] else (decision.vote.principal, decision.vote.account)  # cast again, once it could count
        plan.changes.append(PutVote(vote=decision.vote))
        cast = auditing.cast(decision.vote, before.digest)
        plan.audit(before.id, decision.vote.callback, "vote.cast", principal=by[0], account=by[1], **cast)
    for grant_id, state in ((decision.revoke, GrantState.REVOKED), (decision.expire, GrantState.EXPIRED)):
        if grant_id is not None:
            plan.guards.append(State(table=Table.GRANT, id=grant_id, states=(GrantState.LIVE.value,)))
            plan.changes.append(MoveGrant(id=grant_id, state=state))
            plan.audit(before.id, after.version, f"grant.{state.value}", grant=grant_id)
    if decision.grant is not None:
        plan.changes.append(PutGrant(grant=decision.grant))
        expiry = ExecuteBy(grant=decision.grant.id)
        plan.signal(f"{decision.grant.id}:execute-by", before.task, expiry, decision.grant.execute_by_ms)
        detail: dict[str, Json] = {"grant": decision.grant.id, "digest": decision.grant.digest}
        if decision.grant.bounds is not None:
            detail["bounds"] = msgspec.to_builtins(decision.grant.bounds)
        plan.audit(before.id, after.version, "grant.minted", **detail)
    verdicts.report(plan, before, after, decision)
    who = {"principal": by[0], "account": by[1]}
    plan.audit(before.id, after.version, "inquiry.moved", **who, **auditing.moved(after, decision.transition))
    if after.revision != before.revision:
        plan.audit(after.id, after.revision, "inquiry.revised", **who, **auditing.proposed(after))
    _besides(plan, after, decision, by)
    _show_again(plan, before, after, _votes_after(row.votes, decision.vote), verdicts.used(decision.grant or row.grant))


def _besides(plan: Plan, after: Inquiry, decision: Decision, by: tuple[str, str]) -> None:
    """What is on record, and what the task is told, though nothing is decided."""
    detail = {**decision.detail, "principal": by[0], "account": by[1]}
    if decision.recorded:
        plan.audit(after.id, after.version, decision.recorded, **detail)
    if decision.remark:
        person = plan.team.person(by[0])
        text = words.about_inquiry(short(after.id), views.title_of_inquiry(after, plan.team), decision.remark)
        errand = Comment(inquiry=after.id, text=text, speaker=person.name if person else by[1])
        plan.signal(f"{after.id}:{after.version}:comment", after.task, errand)


def _votes_after(votes: tuple[Vote, ...], cast: Vote | None) -> tuple[Vote, ...]:
    """The active votes, as they are once this one is written."""
    if cast is None:
        return votes
    others = tuple(v for v in votes if (v.stage, v.principal) != (cast.stage, cast.principal))
    return (*others, cast) if cast.active else others


def _show_again(plan: Plan, before: Inquiry, after: Inquiry, votes: tuple[Vote, ...], outcome: str) -> None:
    """Keep every place it was shown true (transition 19)."""
    if after.state.final:
        plan.changes.append(CloseSignal(id=plans.decide_by_id(before)))
        decided(plan, after, outcome)
    elif after.revision != before.revision:
        plans.show(plan, after)
        plans.set_timers(plan, after)
    elif after.decide_by_ms != before.decide_by_ms:
        plans.set_decide_by(plan, after)
        plans.escalate_at(plan, after, step_due_ms(plan.team.policy, after, after.escalated_n))
    if not after.state.final and after.revision == before.revision and _shown_differently(before, after):
        plans.place(plan, after, beyond=1 + len(before.places))
        plans.draw(plan, after, votes)


def _shown_differently(before: Inquiry, after: Inquiry) -> bool:
    shown = (InquiryState.CREATED, InquiryState.UNDELIVERABLE)
    moved = before.state is not after.state and before.state not in shown
    return moved or _face_of(before) != _face_of(after)


def _face_of(inquiry: Inquiry) -> tuple[Any, ...]:
    """What a card says that can change while it is open; and where it is shown."""
    deciders = (inquiry.stage, inquiry.stages, inquiry.pressed_once, inquiry.places, inquiry.left)
    return (*deciders, inquiry.overdue, inquiry.decide_by_ms)


def _in_inbox(team: Team, inquiry: Inquiry) -> Inquiry:
    """What is overdue is shown in the policy's inbox, too."""
    inbox = team.policy.inbox
    if inbox is None or inbox in {inquiry.conversation, *inquiry.places}:
        return inquiry
    return msgspec.structs.replace(inquiry, places=(*inquiry.places, inbox))


def decided(plan: Plan, inquiry: Inquiry, outcome: str = "") -> None:
    """The card as it stays, wherever it was shown: who decided what and when, and what came of it."""
    view = views.decided_card(inquiry, plan.team, plan.env.now_ms, outcome)
    for n, one in enumerate(plans.showings(inquiry)):
        place = (n,) if n else ()
        plan.post(
            Post(
                id=post_of(inquiry.id, inquiry.revision, "decided", inquiry.state.value, outcome, *place),
                conversation=one.conversation,
                view=view,
                slot=one.slot,
                rank=0,
                at_ms=plan.env.now_ms,
            )
        )
        plan.changes.append(MoveDelivery(id=one.delivery, state=DeliveryState.FINALISED))


# --- Shown, or not ----------------------------------------------------------------------------------------------------

_HOLDS = frozenset({DeliveryState.POSTED, DeliveryState.UNKNOWN})
_ON_ITS_WAY = frozenset({DeliveryState.PLANNED, DeliveryState.SENDING})


async def shown(
    context: Context, card: InquiryCard, outcome: DeliveryState, receipt: str
) -> tuple[tuple[Guard, ...], tuple[Change, ...]]:
    """What one delivery's outcome changes: the inquiry is open as soon as one may have arrived. Where all have failed
    it is undeliverable, and goes to the policy's inbox; failing that, its owners are told where they were last.
    """
    delivery_id = card.delivery or f"{card.inquiry}:{card.revision}"
    moved = MoveDelivery(id=delivery_id, state=outcome, receipt=receipt)
    row = await context.store.read.inquiry(InquiryId(card.inquiry))
    if row is None:
        return (), (moved,)
    before, team = row.inquiry, await context.team()
    plan = context.plan(context.env(team))
    # Once for each place and revision, however often the card is drawn anew there.
    showing = auditing.shown(card, row, delivery_id, outcome)
    plan.audit(before.id, f"{delivery_id}:shown:{outcome.value}", "inquiry.shown", **showing)
    lost = outcome is DeliveryState.FAILED
    past = before.state.final or before.revision != card.revision
    if past or (lost and _elsewhere(context, row, delivery_id)):
        return (), (moved, *plan.changes)
    after = rules.shown(before, outcome, plan.env.now_ms)
    placed = _in_inbox(team, after) if lost or (after.overdue and not before.overdue) else after
    if placed is not after:
        placed = msgspec.structs.replace(placed, version=before.version + 1)
        plans.show(plan, placed, row.votes, beyond=1 + len(before.places))
    elif lost:
        await _tell_owners(context, plan, after)
    if placed is not before:
        same = Version(table=Table.INQUIRY, id=before.id, version=before.version)
        plan.guards.append(same)
        plan.changes.append(PutInquiry(inquiry=placed))
    return tuple(plan.guards), (moved, *plan.changes)


def _elsewhere(context: Context, row: InquiryRow, delivery_id: str) -> bool:
    """Whether another showing is on screen, or on its way on a platform that runs."""
    others = [d for d in row.deliveries if d.id != delivery_id and d.revision == row.inquiry.revision]
    on_its_way = (d for d in others if d.state in _ON_ITS_WAY and d.conversation.platform in context.platforms)
    return any(d.state in _HOLDS for d in others) or any(on_its_way)


async def _tell_owners(context: Context, plan: Plan, inquiry: Inquiry) -> None:
    """A line to each owner where they last asked for something: never silence, as long as there is a place."""
    log.warning("inquiry.unseen", inquiry=inquiry.id)
    owners = {person.id: person for person in plan.team.people if person.role == "owner"}
    tried = {one.conversation for one in plans.showings(inquiry)}
    for row in await context.store.read.tasks():
        place, owner = row.task.conversation, owners.get(row.task.asked_by)
        if owner is None or place in tried or place.platform not in context.platforms:
            continue
        del owners[owner.id]
        account = next((a for a in owner.accounts if a.startswith(f"{place.platform}:")), "")
        post_id = post_of(inquiry.id, inquiry.revision, "unseen", owner.id)
        text = notes.unseen(views.title_of_inquiry(inquiry, plan.team), short(inquiry.id))
        line = Line(text=text, private=True, to=account)
        plan.post(Post(id=post_id, conversation=place, view=line, slot=post_id, rank=0, at_ms=plan.env.now_ms))


async def show_open(context: Context, platform: str, occasion: str) -> None:
    """Draw every active inquiry of a platform again: its screen is new (a terminal forgets), or was lost."""
    plan = context.plan(context.env(await context.team(), stand_ins=await stand_ins(context)))
    active = [one for one in await context.store.read.inquiries() if one.state.active]
    votes: dict[InquiryId, list[Vote]] = {one.id: [] for one in active}
    for vote in await context.store.read.votes(tuple(votes)):
        votes[vote.inquiry].append(vote)
    for inquiry in active:
        plans.draw(plan, inquiry, tuple(votes[inquiry.id]), occasion, platform=platform)
    await context.commit(plan)


# --- What people, time and tasks do -----------------------------------------------------------------------------------


async def press(
    context: Context,
    inquiry_id: InquiryId,
    pressed: Press,
    person: Person | None,
    *,
    guards: tuple[Guard, ...],
    changes: tuple[Change, ...],
    note_to: tuple[Conversation, str],
    then: Callable[[Plan, InquiryRow, Decision], None] | None = None,
) -> Outcome:
    """A person does something to an inquiry. `revision` 0 in the press means: the one that is current (a command)."""
    who = person.id if person else ""
    away: tuple[Absence, ...] = ()

    def decide(facts: Facts) -> Decision:
        row, now_ms = facts.row, context.clock.now_ms()
        own, *others = facts.standings
        current = pressed
        if pressed.revision == 0:
            current = replace(pressed, revision=row.inquiry.revision)
        judged = rules.press(
            row,
            current,
            own,
            facts.team,
            now_ms,
            task_alive=facts.task_alive,
            fingerprint_now=facts.fingerprint_now,
            others=tuple(others),
            absences=away,
        )
        if judged.comment is None or person is None:
            return judged
        told = replies.asks_back(person.name, judged.comment)
        taken = rules.withdraw(row, words.asks_first(judged.comment), person.id, now_ms, told=told)
        return replace(taken, note=replies.ASKED_BACK)

    async def ask(row: InquiryRow, team: Team) -> tuple[Standing, ...]:
        nonlocal away
        away = await absences_of(context, row.inquiry)
        if row.inquiry.kind in QUESTIONS:  # whoever may give work may answer, whatever a platform says
            return (Standing(principal=who, may_approve=person is not None, checked_at_ms=context.clock.now_ms()),)
        where = where_asked(context, row.inquiry, pressed.conversation or row.inquiry.conversation)
        ours = OWNS if pressed.verb is Verb.OVERRIDE else DECIDES
        own = await standing_of(context, team, who, pressed.account, where, ours)
        return (own, *await standings_of(context, team, row, who))

    by = (who, pressed.account)
    return await apply(
        context,
        inquiry_id,
        decide,
        ask=ask,
        guards=guards,
        changes=changes,
        note_to=note_to,
        by=by,
        pressed=pressed,
        then=then,
    )


async def recheck(context: Context, errand: Recheck, guards: tuple[Guard, ...], changes: tuple[Change, ...]) -> None:
    """Somebody's standing could not be told: every vote is cast again, by its voter, as they stand now. What has
    counted already counts once.
    """

    async def ask(row: InquiryRow, team: Team) -> tuple[Standing, ...]:
        return await standings_of(context, team, row)

    def decide(facts: Facts) -> Decision:
        row, now_ms = facts.row, context.clock.now_ms()
        if row.inquiry.revision != errand.revision:
            return Decision(inquiry=row.inquiry)
        for vote in sorted(row.votes, key=lambda v: v.verb is not Verb.DENY):
            own = next((s for s in facts.standings if s.principal == vote.principal), None)
            others = tuple(s for s in facts.standings if s is not own)
            judged = own and rules.press(
                row,
                _again(row.inquiry, vote),
                own,
                facts.team,
                now_ms,
                task_alive=facts.task_alive,
                fingerprint_now=facts.fingerprint_now,
                others=others,
            )
            if judged and judged.changed:
                return judged
        return Decision(inquiry=row.inquiry)

    await apply(context, errand.inquiry, decide, ask=ask, guards=guards, changes=changes)


def _again(inquiry: Inquiry, vote: Vote) -> Press:
    return Press(
        verb=vote.verb,
        principal=vote.principal,
        account=vote.account,
        evidence=vote.evidence,
        callback=f"{vote.callback}:checked",
        revision=vote.revision,
        at_ms=vote.at_ms,
        reason=vote.reason,
        answer=vote.answer,
        bounds=vote.bounds,
        conversation=cast_in(inquiry, vote),
        stands_for=vote.stands_for,
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
