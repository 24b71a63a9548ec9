"""Deal with events and signals: route them, fold them, decide them. Each is closed in the transaction that deals with
it, so that none is lost and none counts twice. Those of one conversation or task go in order; the rest side by side.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import assert_never

from core.model.errors import SignoffError, StoreFullError
from core.model.events import CardMoved, Event, MessageReceived, ScheduleFired, WebhookReceived
from core.model.ids import post_of, task_of_event
from core.model.signals import (
    Amend,
    ChildReport,
    Comment,
    Deadline,
    DecideBy,
    Escalate,
    ExecuteBy,
    HoldEnded,
    Recheck,
    Remind,
    ReminderDue,
    Signal,
    StopOrder,
    TakenOver,
    VerdictReport,
    Withdraw,
    WordFromAsker,
)
from core.model.team import Person, Team
from core.model.unit import Applied, Change, CloseEvent, CloseSignal, Pause, State, StoredEvent, Table
from core.model.views import Line, Post
from core.model.work import Begun, Brief, ChildEnded, Decided, Entry, Heard, Held, Said, Stopped, Task, TimedOut
from core.rules import conversation, policy, replies
from core.rules.commands import Always, ApproveAll, Control, Decide, Link, Show
from core.rules.conversation import Summary
from core.rules.plan import Plan, begin, fold, title_of
from core.rules.router import Greet, Ignore, Press, Reworded, Say, Start, Tell, TurnAway, route
from core.runtime import always, away, handover, holding, inquiries, looking, remembering, reminders, replying, waiting
from core.runtime.context import Context, exhausted_scope, log
from core.runtime.deciding import StaleError, decide
from core.runtime.files import Files
from core.runtime.linking import person_of
from core.runtime.orders import Orders
from core.runtime.several import Several

SWEEP_SECONDS = 2.0
"""What a lost notice can cost (ARCHITECTURE.md, section 2)."""
STUCK_SECONDS = 0.05
"""All there is waits for files, which are on their way."""
BATCH_MAX = 128
FAILED_WAIT_MS = 30_000
TRIES_MAX = 5


class Dispatcher:
    """The loop that takes up what came in and what fell due."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._orders = Orders(context)
        self.files = Files(context)
        self._fetching = 0  # lanes of the sweep under way that wait for files

    async def run(self) -> None:
        """For ever."""
        while True:
            wait_seconds = await self.sweep()
            if wait_seconds:
                await self._context.bus.wait("events", wait_seconds)

    async def sweep(self) -> float:
        """Deal with what there is now. Returns how long nothing will fall due, in seconds, at most SWEEP_SECONDS."""
        self._fetching = 0
        events, signals, next_due_ms = await self._context.store.due(BATCH_MAX)
        lanes: dict[str, list[Callable[[], Awaitable[bool]]]] = defaultdict(list)
        for stored in events:
            lanes[stored.event.conversation.key].append(partial(self._event, stored))
        for signal in signals:
            lanes[signal.task].append(partial(self._signal, signal))
        async with asyncio.TaskGroup() as group:
            for lane in lanes.values():
                group.create_task(_in_order(lane))
        if events or signals:
            return STUCK_SECONDS if self._fetching == len(lanes) else 0
        if next_due_ms is None:
            return SWEEP_SECONDS
        return min(SWEEP_SECONDS, max(0.001, (next_due_ms - self._context.clock.now_ms()) / 1000))

    # --- Events -----------------------------------------------------------------------------------------------------

    async def _event(self, stored: StoredEvent) -> bool:
        """False: it is still to be dealt with, and what came after it in its conversation waits, too."""
        event = stored.event
        try:
            return await self._deal_with(event)
        except StaleError:
            return False  # another process was faster
        except StoreFullError:
            log.warning("event.waits", key=event.key, why="the disk is full")
            await self._context.clock.sleep(1)
            return False
        except Exception as error:  # noqa: BLE001 - one event that cannot be dealt with must not hold up the others (pitfall 11)
            log.exception("event.failed", key=event.key)
            what = error.what if isinstance(error, SignoffError) else type(error).__name__
            await self._answer(event, replies.could_not(what))
        return True

    async def _deal_with(self, event: Event) -> bool:
        """False: not yet."""
        context = self._context
        team = await context.team()
        person, evidence = await person_of(context.store.read, team, event)
        open_root = await self._open_root(event)
        routed = route(event, team, person, task_runs=open_root is not None)
        files = ""
        if isinstance(event, MessageReceived) and isinstance(routed, Start | Tell):
            agreed = await replying.agreed_to(context, team, event)
            if agreed is not None and person is not None:
                await self._orders.agree(event, team, person, *agreed)
                return True
            there = self.files.lines(event)
            if there is None:
                self._fetching += 1
                return False
            files = f"\n\n{there}" if there else ""
        if isinstance(routed, Start | Tell) and await self._is_for_a_person(event, team, routed, open_root):
            return True
        match routed:
            case Ignore():
                await self._answer(event, "")
            case Say(line=line):
                await self._answer(event, line)
            case TurnAway():
                await self._orders.turn_away(event)
            case Greet():
                await self._answer(event, looking.greeting(team))
            case Reworded(original=original):
                await self._reworded(event, original)
            case Start(role=role, text=text):
                await self._start(event, team, person, role, text + files)
            case Tell(text=text):
                await self._tell(event, open_root, person, text + files)
            case Link() as order:
                await self._orders.link(event, team, person, order)
            case Press() as pressed:
                await self._orders.press(event, team, person, pressed)
            case Decide() as order:
                await self._orders.decide(event, team, person, order)
            case Always() as order:
                await self._orders.always(event, team, person, order)
            case ApproveAll() as order:
                await Several(context, event, person, evidence).approve(order)
            case Control() as order:
                await self._orders.control(event, team, person, order)
            case Show(what="away", subject=text) if person is not None:
                await away.leave(context, team, event, person, text)
            case Show(what="back") if person is not None:
                await away.back(context, team, event, person)
            case Show(what="handback", subject=place):
                await handover.hand_back(context, team, event, person, place)
            case Show() as order:
                await self._orders.show(event, team, person, order, evidence)
            case never:  # pragma: no cover
                assert_never(never)
        return True

    async def _is_for_a_person(self, event: Event, team: Team, routed: Start | Tell, running: Task | None) -> bool:
        """A person has taken this conversation over, or must now: then the event is dealt with."""
        if isinstance(event, ScheduleFired | WebhookReceived | CardMoved):
            return False
        if await handover.handed(self._context, event.conversation) is not None:
            await self._answer(event, "")
            return True
        role = routed.role if isinstance(routed, Start) else running.role if running else team.lead
        if role not in team.roles:
            return False
        why = await handover.reason(self._context, team, event, role, routed.text)
        if why:
            await handover.hand_over(self._context, team, event, role, why, running)
        return bool(why)

    async def _open_root(self, event: Event) -> Task | None:
        """The request that goes on there, unless somebody has begun anew since."""
        root = await self._context.store.read.open_root(event.conversation)
        if root is None or root.created_at_ms < await looking.talk_began_ms(self._context, event.conversation.key):
            return None
        return root

    async def _reworded(self, event: Event, original: str) -> None:
        """An edited request: said so while it is worked on; afterwards it is only words."""
        task_id = await self._context.store.read.event_task(original)
        task = await self._context.store.read.task(task_id) if task_id else None
        await self._answer(event, replies.edited(task.id) if task is not None and not task.phase.final else "")

    async def _said(self, event: Event) -> tuple[tuple[Said, ...], Summary | None]:
        """What was said there before: as the platform quotes it, or as we have it, after a summary of what is older."""
        if isinstance(event, MessageReceived) and event.earlier:
            return tuple(Said(speaker=q.speaker, text=q.text, by_agent=q.by_agent) for q in event.earlier), None
        read, where = self._context.store.read, event.conversation
        began_ms = await looking.talk_began_ms(self._context, where.key)
        summary = conversation.read(await read.meta(conversation.name_of(where.key)), began_ms)
        said = await read.said(where, conversation.SAID_MAX, summary.until_ms if summary else began_ms)
        own = event.text if isinstance(event, MessageReceived) else ""
        return tuple(line for line in said if line.by_agent or _is_before(line, event.at_ms, own)), summary

    async def _answer(self, event: Event, line: str) -> None:
        """Close the event, with a line if there is something to say."""
        await self._orders.answer(event, Line(text=line) if line else None)

    async def _start(self, event: Event, team: Team, person: Person | None, role: str, text: str) -> None:
        """A root task: its id comes from the event's key, so that the same event starts it once."""
        context = self._context
        team = context.teams.of(task_of_event(event.key))  # during a rollout, not everybody's
        role = role if role in team.roles else team.lead
        said, summary = await self._said(event)
        memory = await remembering.view_of(context, team, role)
        initiators = (person.id,) if person else event.initiators if isinstance(event, ScheduleFired) else ()
        exhausted: frozenset[str] = frozenset()
        for _ in range(TRIES_MAX):
            env = context.env(team, exhausted=exhausted)
            brief = Brief(objective=text)
            asked_by = person.name if person else event.sender.name or "a schedule"
            task = Task(
                id=task_of_event(event.key),
                root=task_of_event(event.key),
                role=role,
                title=title_of(text),
                brief=brief,
                conversation=event.conversation,
                asked_by=next(iter(initiators), ""),
                initiators=initiators,
                definition=team.version,
                role_version=team.roles[role].version,
                gated=policy.word_in_brief(team.policy, brief),
                untrusted=any(line.untrusted for line in said)
                or (summary is not None and summary.untrusted)
                or (isinstance(event, ScheduleFired) and event.untrusted),
                created_at_ms=env.now_ms,
                updated_at_ms=env.now_ms,
            )
            plan = context.plan(env)
            plan.guards.append(State(table=Table.EVENT, id=event.key, states=("new",)))
            plan.changes.append(CloseEvent(key=event.key, task=task.id))
            begun = Begun(
                at_ms=env.now_ms,
                brief=brief,
                definition=team.version,
                asked_by=asked_by,
                said=said,
                summary=summary.text if summary else "",
                memory=memory,
            )
            begin(plan, task, begun)
            if context.stopped & {"all", f"role:{role}"}:
                _say(plan, event, replies.waits_for_resume(task.id))
            answer = await context.commit(plan)
            scope = exhausted_scope(answer)
            if scope is None:
                return
            exhausted |= {scope}

    async def _tell(self, event: Event, root: Task | None, person: Person | None, text: str) -> None:
        """A word to the running task: kept, and said so in code; it reads it at its next step."""
        if root is None:
            await self._answer(event, replies.NOTHING_RUNS)
            return
        context = self._context
        name = person.name if person else event.sender.name
        for _ in range(TRIES_MAX):
            task = await context.store.read.task(root.id)
            if task is None or task.phase.final:
                await self._start(event, await context.team(), person, root.role, text)
                return
            team = await context.team(task.definition)
            plan = context.plan(context.env(team))
            plan.guards.append(State(table=Table.EVENT, id=event.key, states=("new",)))
            plan.changes.append(CloseEvent(key=event.key, task=task.id))
            new = fold(plan, task, Heard(at_ms=plan.env.now_ms, text=text, speaker=name))
            # One line a minute: a hundred words said to a busy team need no hundred thanks.
            slot = f"heard:{root.id}:{plan.env.now_ms // 60_000}"
            _say(plan, event, replies.heard(new.waiting_on), speaker=team.roles[new.role].title, slot=slot)
            if isinstance(await context.commit(plan), Applied):
                return
        raise StaleError(event.key)

    # --- Signals ----------------------------------------------------------------------------------------------------

    async def _signal(self, signal: Signal) -> bool:
        """False: as for events."""
        guards = (State(table=Table.SIGNAL, id=signal.id, states=("new",)),)
        changes: tuple[Change, ...] = (CloseSignal(id=signal.id),)
        if isinstance(signal.errand, StopOrder):  # a paused task is let go to wind down, in the step that ends it
            changes = (*changes, Pause(scope=f"task:{signal.task}", paused=False))
        try:
            match signal.errand:
                case DecideBy() as errand:
                    await inquiries.deadline(self._context, errand, guards, changes)
                case Recheck() as errand:
                    await inquiries.recheck(self._context, errand, guards, changes)
                case Withdraw() as errand:
                    await inquiries.withdraw(self._context, errand, guards, changes)
                case ExecuteBy() as errand:
                    await inquiries.expire(self._context, errand, guards, changes)
                case Amend() as errand:
                    await always.amend(self._context, errand, guards, changes)
                case TakenOver() as errand:
                    await handover.taken_over(self._context, signal, errand, guards, changes)
                case Remind() as errand:
                    await waiting.remind(self._context, errand, guards, changes)
                case ReminderDue() as errand:
                    await reminders.due(self._context, signal, errand, guards, changes)
                case Escalate() as errand:
                    await waiting.escalate(self._context, errand, guards, changes)
                case _:
                    if await holding.dealt_with(self._context, signal):
                        return True
                    await decide(
                        self._context,
                        signal.task,
                        lambda _task: self._entry(signal),
                        guards=guards,
                        changes=lambda _task: changes,
                    )
        except StaleError as error:  # somebody else has closed it; or it is still new, and comes again
            log.info("signal.stale", signal=signal.id, why=str(error))
        except LookupError as error:
            log.info("signal.gone", signal=signal.id, why=str(error))
            await self._close(signal)
        except StoreFullError:
            log.warning("signal.waits", signal=signal.id, why="the disk is full")
            await self._context.clock.sleep(1)
            return False
        except Exception:  # noqa: BLE001 - a bug of ours: somebody waits for this signal, so it is never dropped (P5)
            log.exception("signal.failed", signal=signal.id)
            await self._later(signal)
        return True

    async def _later(self, signal: Signal) -> None:
        """Try again in a while, for as long as it takes; the log says so each time."""
        plan = self._context.plan(self._context.env(await self._context.team()))
        plan.signal(signal.id, signal.task, signal.errand, self._context.clock.now_ms() + FAILED_WAIT_MS)
        await self._context.commit(plan)

    async def _close(self, signal: Signal) -> None:
        """Nothing is left to do for it: what it speaks of is gone, or somebody else has dealt with it."""
        plan = self._context.plan(self._context.env(await self._context.team()))
        plan.changes.append(CloseSignal(id=signal.id))
        await self._context.commit(plan)

    def _entry(self, signal: Signal) -> Entry:
        at_ms, errand = self._context.clock.now_ms(), signal.errand
        match errand:
            case ChildReport():
                return ChildEnded(
                    at_ms=at_ms,
                    call=errand.call,
                    child=errand.child,
                    role=errand.role,
                    result=errand.result,
                    untrusted=errand.untrusted,
                )
            case VerdictReport():
                return Decided(at_ms=at_ms, call=errand.call, verdict=errand.verdict)
            case WordFromAsker():
                return Heard(at_ms=at_ms, text=errand.text, speaker=errand.speaker, by_role=True, call=errand.call)
            case StopOrder():
                return Stopped(at_ms=at_ms, by=errand.by, reason=errand.reason)
            case Deadline():
                return TimedOut(at_ms=at_ms)
            case HoldEnded():
                return Held(at_ms=at_ms)
            case Comment():
                return Heard(at_ms=at_ms, text=errand.text, speaker=errand.speaker)
            case DecideBy() | Recheck() | Withdraw() | ExecuteBy() | Remind() | Escalate() | TakenOver() | Amend():
                raise AssertionError(signal.id)  # pragma: no cover
            case ReminderDue():
                raise AssertionError(signal.id)  # pragma: no cover
            case _:  # pragma: no cover
                assert_never(errand)


def _is_before(line: Said, at_ms: int, own: str) -> bool:
    """Whether a person's line is older than the message of this time, and not that message."""
    return line.at_ms < at_ms or (line.at_ms == at_ms and line.text != own)


async def _in_order(lane: list[Callable[[], Awaitable[bool]]]) -> None:
    for deal in lane:
        if not await deal():
            return


def _say(plan: Plan, event: Event, text: str, speaker: str = "", slot: str = "") -> None:
    """Answer an event in code, in the transaction that deals with it."""
    post_id, line, where = post_of("heard", event.key), Line(text=text, speaker=speaker), event.conversation
    plan.post(Post(id=post_id, conversation=where, view=line, slot=slot or post_id, at_ms=plan.env.now_ms))
