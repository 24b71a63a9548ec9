"""Turn a decision into one transaction: the step's state, journal, effects, children, inquiries, posts and timers.

Pure. Every id is derived, so that deciding the same thing twice writes the same rows.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import assert_never

import msgspec

from core.model.effects import (
    AbortEffect,
    AnswerChild,
    AskHuman,
    CallModel,
    CancelChild,
    CancelInquiry,
    Delegate,
    Finish,
    GiveOver,
    ReturnQuestion,
    RunTool,
    SetDeadline,
    Tell,
)
from core.model.events import Conversation
from core.model.ids import EffectId, SignalId, TaskId, post_of
from core.model.inquiries import Delivery, Inquiry, Vote
from core.model.signals import (
    ChildReport,
    Deadline,
    DecideBy,
    Errand,
    Escalate,
    Remind,
    Signal,
    StopOrder,
    Withdraw,
    WordFromAsker,
)
from core.model.team import Json, Team
from core.model.unit import (
    AddAudit,
    AddEffect,
    AddEntry,
    AddPost,
    AddSignal,
    Audit,
    Change,
    CloseSignal,
    Guard,
    PutDelivery,
    PutInquiry,
    PutTask,
    Reserve,
    Table,
    Version,
)
from core.model.views import Answer, Line, Post, View
from core.model.work import Begun, Decided, Entry, Facts, Failure, Lost, PushBack, Replied, Task
from core.rules import auditing, budget, views, waiting
from core.rules.audience import in_private
from core.rules.handing import give_over
from core.rules.inquiry import needs_of
from core.rules.policy import rule_for
from core.rules.step import Env, Step, step
from core.rules.text import readable

TITLE_CHARS_MAX = 80
_NOTHING = Facts()
MODEL_SECONDS_MAX = 900
"""With all its retries and waits; each request of its own ends after 120 s (the vendor adapters)."""
LEASE_MARGIN_MS = 60_000
"""An effect's own timeout ends it well before its lease lapses (ENGINE.md, pitfall 4)."""


def lease_of(effect: CallModel | RunTool) -> int:
    """How long, in ms, a holder may keep an effect."""
    seconds_max = effect.seconds_max if isinstance(effect, RunTool) else MODEL_SECONDS_MAX
    return seconds_max * 1000 + LEASE_MARGIN_MS


@dataclass(slots=True, kw_only=True)
class Plan:
    """Guards and changes in the making. `secret` is the workspace's, for control nonces; `holder` takes the first
    model call or tool run of a role it has just freed a place of, so that no claim is needed.
    """

    env: Env
    secret: str
    holder: str = ""
    free_role: str = ""
    guards: list[Guard] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    started: list[AddEffect] = field(default_factory=list)  # what the holder performs next
    aborted: list[EffectId] = field(default_factory=list)
    roots: set[TaskId] = field(default_factory=set)  # whose status line is to be drawn anew

    @property
    def team(self) -> Team:
        """The definition this plan is decided under."""
        return self.env.team

    def audit(self, subject: str, key: object, what: str, **detail: Json) -> None:
        """Record something for the chain; `key` makes the row's id together with subject and what."""
        by, account = str(detail.pop("principal", "")), str(detail.pop("account", ""))
        row = Audit(
            id=f"{subject}:{key}:{what}",
            at_ms=self.env.now_ms,
            what=what,
            subject=subject,
            principal=by,
            account=account,
            detail=detail,
        )
        self.changes.append(AddAudit(row=row))

    def signal(self, signal_id: str, task: TaskId, errand: Errand, due_at_ms: int | None = None) -> None:
        """Tell a task something, now or at a time."""
        due = self.env.now_ms if due_at_ms is None else due_at_ms
        self.changes.append(AddSignal(signal=Signal(id=SignalId(signal_id), task=task, due_at_ms=due, errand=errand)))

    def post(self, post: Post) -> None:
        """Say something."""
        self.changes.append(AddPost(post=post))


def fold(plan: Plan, task: Task, entry: Entry) -> Task:
    """Step the task with this entry and write everything that follows into the plan. Returns the new state."""
    entry = _with_facts(entry, plan.env)
    decided = step(task, entry, plan.env)
    new = msgspec.structs.replace(decided.task, version=task.version + 1)
    plan.roots.add(task.root)
    plan.guards.append(Version(table=Table.TASK, id=task.id, version=task.version))
    new = _write_effects(plan, task, new, decided)
    plan.changes.append(PutTask(task=new))
    for n, written in enumerate((entry, *decided.entries), start=task.step):
        plan.changes.append(AddEntry(task=task.id, n=n, entry=written))
    return new


def _with_facts(entry: Entry, env: Env) -> Entry:
    """Journal what the decision rests on besides the journal: the moment, and of programs only where an action may be
    decided.
    """
    entry = msgspec.structs.replace(entry, at_ms=env.now_ms)  # the clock may have gone on, or jumped, since it was made
    acts = isinstance(entry, Replied | Decided | Lost)
    facts = Facts(
        fingerprints=dict(env.fingerprints) if acts else {},
        exhausted=tuple(sorted(env.exhausted)),
        denied=tuple(sorted(env.denied)),
        grants=env.grants,
    )
    return msgspec.structs.replace(entry, facts=facts) if facts != _NOTHING else entry


def begin(plan: Plan, task: Task, entry: Begun) -> Task:
    """Start a task: its row, its first entry, its first effect."""
    plan.audit(task.id, 0, "task.begun", role=task.role, kind=task.brief.kind, asked_by=task.asked_by)
    return fold(plan, task, entry)


# --- Effects --------------------------------------------------------------------------------------------------------


def _write_effects(plan: Plan, before: Task, task: Task, decided: Step) -> Task:
    for effect in decided.effects:
        match effect:
            case CallModel() | RunTool():
                _perform(plan, task, effect)
            case Delegate():
                _delegate(plan, before, effect)
            case AnswerChild():
                speaker = plan.team.roles[task.role].title
                errand = WordFromAsker(text=effect.text, speaker=speaker, call=effect.call)
                plan.signal(f"{effect.call}:answer", effect.child, errand)
            case AskHuman():
                open_inquiry(plan, effect.inquiry)
            case CancelChild():
                plan.signal(
                    f"{effect.child}:stop:{task.id}", effect.child, StopOrder(by=task.role, reason=effect.reason)
                )
            case CancelInquiry():
                errand_w = Withdraw(inquiry=effect.inquiry, reason=effect.reason)
                plan.signal(f"{effect.inquiry}:withdraw:{before.step}", task.id, errand_w)
            case AbortEffect():
                plan.aborted.append(effect.effect)
            case SetDeadline():
                task = _set_deadline(plan, before, task, effect)
            case Tell():
                _tell(plan, task, effect)
            case GiveOver():
                give_over(plan, before, effect)
            case Finish():
                _finish(plan, task, effect)
            case ReturnQuestion():
                _report_up(plan, task, effect)
            case _:  # pragma: no cover
                assert_never(effect)
    return task


def _perform(plan: Plan, task: Task, effect: CallModel | RunTool) -> None:
    """Queue it, or start it at once in the place this holder has just freed. A grant is consumed at the start, in a
    transaction of its own; so such an effect is always queued.
    """
    if isinstance(effect, RunTool) and not effect.grant:  # with a grant, its start is on record
        plan.audit(effect.id, 0, "attempt.queued", digest=effect.digest, task=task.id, tool=effect.tool)
    at_once = bool(plan.holder) and plan.free_role == task.role and not (isinstance(effect, RunTool) and effect.grant)
    add = AddEffect(
        task=task.id,
        role=task.role,
        effect=effect,
        holder=plan.holder if at_once else "",
        lease_ms=lease_of(effect) if at_once else 0,
    )
    plan.changes.append(add)
    if at_once:
        plan.free_role = ""
        plan.started.append(add)
    if isinstance(effect, CallModel):
        role, model = plan.team.roles[task.role], plan.team.model_of(task.role)
        scope = budget.scope_of(role.id, budget.day_of(plan.team.zone, plan.env.now_ms))
        tokens, microusd = budget.worst_case(role, model)
        if role.budget.hard_stop:
            # Guards look before any change is made, so each must ask for what the plan holds already, too.
            held = [c for c in plan.changes if isinstance(c, Reserve) and c.scope == scope]
            tokens_n, microusd_n = sum(h.tokens for h in held) + tokens, sum(h.microusd for h in held) + microusd
            plan.guards.append(budget.room(role, scope, tokens_n, microusd_n))
        plan.changes.append(Reserve(scope=scope, id=effect.id, tokens=tokens, microusd=microusd))


def _delegate(plan: Plan, task: Task, effect: Delegate) -> None:
    child = Task(
        id=effect.child,
        root=task.root,
        parent=task.id,
        parent_call=effect.call,
        role=effect.role,
        depth=task.depth + 1,
        hops=effect.hops,
        title=title_of(effect.brief.objective),
        brief=effect.brief,
        conversation=task.conversation,
        asked_by=task.role,
        initiators=task.initiators,
        chain=(*task.chain, task.role),
        rounds=effect.rounds,
        definition=task.definition,
        role_version=plan.team.roles[effect.role].version,
        gated=task.gated or effect.gated,
        untrusted=task.untrusted,
        denied=task.denied,
        created_at_ms=plan.env.now_ms,
        updated_at_ms=plan.env.now_ms,
    )
    asked_by = plan.team.roles[task.role].title
    memory = plan.env.memories.get(effect.role, ())
    entry = Begun(
        at_ms=plan.env.now_ms, brief=effect.brief, definition=task.definition, asked_by=asked_by, memory=memory
    )
    begin(plan, child, entry)


def open_inquiry(plan: Plan, inquiry: Inquiry) -> None:
    """Transition 1: the inquiry, its first showings and its timer commit together with the step that asks. Where it is
    shown is frozen here.
    """
    inquiry = msgspec.structs.replace(inquiry, version=1, places=places_of(plan, inquiry))
    plan.guards.append(Version(table=Table.INQUIRY, id=inquiry.id, version=0))
    plan.changes.append(PutInquiry(inquiry=inquiry))
    plan.audit(inquiry.id, inquiry.revision, "inquiry.opened", **auditing.proposed(inquiry))
    show(plan, inquiry)
    set_timers(plan, inquiry)


def places_of(plan: Plan, inquiry: Inquiry) -> tuple[Conversation, ...]:
    """Where else it is shown: where it is already, then where its rule says."""
    rule = rule_for(plan.team.policy, inquiry)
    private = in_private(inquiry, plan.team, plan.env.directs, plan.env.stand_ins) if rule.direct else ()
    places = dict.fromkeys((*inquiry.places, *rule.deliver, *private))
    return tuple(place for place in places if place != inquiry.conversation)


@dataclass(frozen=True, slots=True)
class Showing:
    """One place of an inquiry: the id of its current revision's delivery there, and its message on screen, which is
    one for all revisions, edited until it shows the decision.
    """

    delivery: str
    conversation: Conversation
    slot: str


def showings(inquiry: Inquiry) -> tuple[Showing, ...]:
    """Every place it is shown in; the one where the work was asked for comes first."""
    first = Showing(f"{inquiry.id}:{inquiry.revision}", inquiry.conversation, f"card:{inquiry.id}")
    others = (
        Showing(f"{first.delivery}:{n}", place, f"{first.slot}:{n}") for n, place in enumerate(inquiry.places, start=1)
    )
    return (first, *others)


def show(plan: Plan, inquiry: Inquiry, votes: tuple[Vote, ...] = (), *, beyond: int = 0) -> None:
    """Plan this revision's showings, but for the first `beyond`, and draw them."""
    place(plan, inquiry, beyond=beyond)
    draw(plan, inquiry, votes, beyond=beyond)


def place(plan: Plan, inquiry: Inquiry, *, beyond: int = 0) -> None:
    """Store the nonces of showings: before anything is sent, so that a press that comes first is known."""
    for one in showings(inquiry)[beyond:]:
        nonce = views.control_nonce(plan.secret, one.delivery)
        delivery = Delivery(
            id=one.delivery,
            inquiry=inquiry.id,
            revision=inquiry.revision,
            conversation=one.conversation,
            nonce_hash=views.nonce_hash(nonce),
        )
        plan.changes.append(PutDelivery(delivery=delivery))


def draw(
    plan: Plan, inquiry: Inquiry, votes: tuple[Vote, ...], occasion: str = "", *, platform: str = "", beyond: int = 0
) -> None:
    """The card as it is now, in its one message in each place; with `platform`, only there, with `beyond`, not in the
    first of them. `occasion` tells drawings of the same version apart.
    """
    needs = needs_of(inquiry, votes, plan.team, plan.env.stand_ins)
    for one in showings(inquiry)[beyond:]:
        if platform and one.conversation.platform != platform:
            continue
        plan.post(
            Post(
                id=post_of(one.delivery, inquiry.version, occasion),
                conversation=one.conversation,
                view=_view_at(plan, inquiry, votes, one, needs),
                slot=one.slot,
                rank=0,
                at_ms=plan.env.now_ms,
            )
        )


def _view_at(plan: Plan, inquiry: Inquiry, votes: tuple[Vote, ...], at: Showing, needs: str) -> View:
    """The card, with buttons where it is decided; where others were asked instead there are none."""
    now_ms = plan.env.now_ms
    if at.conversation in inquiry.left:
        return views.moved_card(inquiry, plan.team)
    nonce = views.control_nonce(plan.secret, at.delivery)
    return views.inquiry_card(inquiry, plan.team, votes, nonce, now_ms, needs=needs, delivery=at.delivery)


def tell(
    plan: Plan,
    inquiry: Inquiry,
    deliveries: tuple[Delivery, ...],
    text: str,
    *key: object,
    spared: Collection[Conversation] = (),
) -> None:
    """Say something below the card, wherever it is decided, but for those places that are spared it."""
    receipts = {d.conversation: d.receipt for d in sorted(deliveries, key=lambda d: d.revision) if d.receipt}
    for n, one in enumerate(showings(inquiry)):
        if one.conversation in inquiry.left or one.conversation in spared:
            continue
        post_id = post_of(inquiry.id, inquiry.revision, *key, n)
        plan.post(
            Post(
                id=post_id,
                conversation=one.conversation,
                view=Line(text=text),
                slot=post_id,
                rank=0,
                reply_to=receipts.get(one.conversation),
                at_ms=plan.env.now_ms,
            )
        )


def decide_by_id(inquiry: Inquiry) -> SignalId:
    """The timer of this deadline. Every extension has its own: an earlier one finds that nothing is due."""
    later = f":{inquiry.extended_ms}" if inquiry.extended_ms else ""
    return SignalId(f"{inquiry.id}:{inquiry.revision}:decide-by{later}")


def set_decide_by(plan: Plan, inquiry: Inquiry) -> None:
    """The deadline of this revision. It never approves anything."""
    if inquiry.decide_by_ms is not None:
        errand = DecideBy(inquiry=inquiry.id, revision=inquiry.revision)
        plan.signal(decide_by_id(inquiry), inquiry.task, errand, inquiry.decide_by_ms)


def set_timers(plan: Plan, inquiry: Inquiry) -> None:
    """All that happens to this revision by itself: its deadline, reminders, escalation."""
    set_decide_by(plan, inquiry)
    remind_at(plan, inquiry, waiting.reminder_due_ms(plan.team.policy, inquiry))
    escalate_at(plan, inquiry, waiting.step_due_ms(plan.team.policy, inquiry, inquiry.escalated_n))


def remind_at(plan: Plan, inquiry: Inquiry, due_ms: int | None) -> None:
    """The next look at reminding people; one at a time is under way."""
    if due_ms is not None:
        errand = Remind(inquiry=inquiry.id, revision=inquiry.revision)
        _look_at(plan, f"{inquiry.id}:{inquiry.revision}:remind:{due_ms}", inquiry.task, errand, due_ms)


def escalate_at(plan: Plan, inquiry: Inquiry, due_ms: int | None) -> None:
    """The next look at asking others."""
    if due_ms is not None:
        errand = Escalate(inquiry=inquiry.id, revision=inquiry.revision)
        _look_at(plan, f"{inquiry.id}:{inquiry.revision}:escalate:{due_ms}", inquiry.task, errand, due_ms)


def _look_at(plan: Plan, signal_id: str, task: TaskId, errand: Errand, due_ms: int) -> None:
    """A timer that the clock has overtaken, and was then set back, is left as it is, and rings again."""
    plan.changes = [c for c in plan.changes if not (isinstance(c, CloseSignal) and c.id == signal_id)]
    plan.signal(signal_id, task, errand, due_ms)


def _set_deadline(plan: Plan, before: Task, task: Task, effect: SetDeadline) -> Task:
    if before.deadline is not None:
        plan.changes.append(CloseSignal(id=before.deadline))
    if effect.due_at_ms is None:
        return msgspec.structs.replace(task, deadline=None)
    signal_id = SignalId(f"{task.id}:{before.step}:deadline")
    plan.signal(signal_id, task.id, Deadline(), effect.due_at_ms)
    return msgspec.structs.replace(task, deadline=signal_id)


def _tell(plan: Plan, task: Task, effect: Tell) -> None:
    speaker, post_id = plan.team.roles[task.role].title, post_of(task.id, task.step, effect.n)
    view = (
        Answer(task=task.id, speaker=speaker, text=readable(effect.text), untrusted=task.untrusted)
        if effect.whole
        else None
    )
    said = view or Line(text=effect.text, speaker=speaker)
    plan.post(Post(id=post_id, conversation=task.conversation, view=said, slot=post_id, at_ms=plan.env.now_ms))


def _finish(plan: Plan, task: Task, effect: Finish) -> None:
    failed = effect.result.what if isinstance(effect.result, Failure) else ""
    plan.audit(task.id, task.step, "task.finished", phase=effect.phase.value, failed=failed)
    if task.parent is not None and task.parent_call is not None:
        report = ChildReport(
            call=task.parent_call, child=task.id, role=task.role, result=effect.result, untrusted=task.untrusted
        )
        plan.signal(f"{task.id}:report", task.parent, report)
        return
    plan.post(
        Post(
            id=post_of(task.id, "answer"),
            conversation=task.conversation,
            view=views.answer_view(task, plan.team),
            slot=f"answer:{task.id}",
            at_ms=plan.env.now_ms,
        )
    )


def _report_up(plan: Plan, task: Task, effect: ReturnQuestion) -> None:
    if task.parent is not None and task.parent_call is not None:
        from_child = ChildReport(
            call=task.parent_call,
            child=task.id,
            role=task.role,
            result=PushBack(question=effect.question),
            untrusted=task.untrusted,
        )
        plan.signal(f"{task.id}:question:{task.step}", task.parent, from_child)


def title_of(text: str) -> str:
    """A task's title: the first line of what was asked, shortened."""
    return views.shorten(text.strip().split("\n", 1)[0], TITLE_CHARS_MAX)
