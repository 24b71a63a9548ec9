"""What people order: decide an inquiry, control tasks, look something up."""

from __future__ import annotations

import msgspec

from core.model.events import Conversation, Event
from core.model.ids import InquiryId, SignalId, TaskId, post_of, short, task_of_event
from core.model.inquiries import Inquiry, Verb
from core.model.signals import HoldEnded, Signal, StopOrder
from core.model.team import Json, Person, Team
from core.model.unit import AddSignal, Change, CloseEvent, Guard, Pause, State, Table
from core.model.views import Inbox, Line, Post, View
from core.model.work import Begun, Task
from core.rules import inquiry as rules
from core.rules import replies, views
from core.rules.commands import Control, Decide, Show, Usage, edited_paths
from core.rules.plan import begin
from core.rules.router import Press as Pressed
from core.rules.router import sender_of
from core.runtime import inquiries
from core.runtime.context import Context, exhausted_scope

HELD_MAX = 10_000


class Orders:
    """Carries out one order a call; every order closes its event in its own transaction."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def _closing(self, event: Event, task: TaskId | None = None) -> tuple[tuple[Guard, ...], tuple[Change, ...]]:
        new = State(table=Table.EVENT, id=event.key, states=("new",))
        return (new,), (CloseEvent(key=event.key, task=task),)

    async def answer(self, event: Event, view: View | None, *more: Change) -> None:
        """Close the event; show something."""
        plan = self._context.plan(self._context.env(await self._context.team()))
        guards, changes = self._closing(event)
        plan.guards.extend(guards)
        plan.changes.extend((*changes, *more))
        if view is not None:
            post_id = post_of("answer", event.key)
            plan.post(
                Post(
                    id=post_id, conversation=event.conversation, view=view, slot=post_id, rank=0, at_ms=plan.env.now_ms
                )
            )
        await self._context.commit(plan)

    async def _say(self, event: Event, line: str) -> None:
        await self.answer(event, Line(text=line))

    # --- Inquiries --------------------------------------------------------------------------------------------------

    async def press(self, event: Event, team: Team, person: Person | None, pressed: Pressed) -> None:
        """A button: its control says which inquiry, which revision, and what."""
        parsed = views.parse_control(pressed.control)
        if parsed is None:
            await self._say(event, replies.UNKNOWN_BUTTON)
            return
        nonce, verb, option = parsed
        delivery = await self._context.store.read.delivery(views.nonce_hash(nonce))
        if delivery is None or not _same_channel(delivery.conversation, event.conversation):
            await self._say(event, replies.UNKNOWN_BUTTON)
            return
        row = await self._context.store.read.inquiry(delivery.inquiry)
        if row is None:
            await self._say(event, replies.UNKNOWN_BUTTON)
            return
        fields = pressed.fields or {}
        answer: Json = fields.get("answer")
        if option is not None and option < len(row.inquiry.options):
            answer = row.inquiry.options[option]
        await self._decide(
            event,
            team,
            person,
            row.inquiry,
            verb,
            revision=delivery.revision,
            text=fields.get("reason", "") or fields.get("text", ""),
            answer=answer,
            edit_text=fields.get("edit", ""),
        )

    async def decide(self, event: Event, team: Team, person: Person | None, order: Decide) -> None:
        """A command: names its inquiry, or means the only one that is open."""
        inquiry = await self._find(event, order.inquiry)
        if inquiry is None:
            return
        answer = order.text if order.verb is Verb.ANSWER else None
        edit_text = order.text if order.verb is Verb.EDIT else ""
        await self._decide(
            event, team, person, inquiry, order.verb, revision=0, text=order.text, answer=answer, edit_text=edit_text
        )

    async def _find(self, event: Event, prefix: str) -> Inquiry | None:
        read = self._context.store.read
        if not prefix:
            waiting = await read.inquiries()
            if len(waiting) == 1:
                return waiting[0]
            line = replies.which_inquiry(tuple(i.id for i in waiting)) if waiting else replies.NOTHING_OPEN
            await self._say(event, line)
            return None
        ids = await read.inquiry_ids(prefix)
        if len(ids) != 1:
            no = replies.ambiguous("inquiry", prefix, ids) if ids else replies.no_such("inquiry", prefix)
            await self._say(event, no)
            return None
        row = await read.inquiry(ids[0])
        if row is None:
            await self._say(event, replies.no_such("inquiry", prefix))
        return row.inquiry if row else None

    async def _decide(
        self,
        event: Event,
        team: Team,
        person: Person | None,
        inquiry: Inquiry,
        verb: Verb,
        *,
        revision: int,
        text: str,
        answer: Json,
        edit_text: str,
    ) -> None:
        if verb is Verb.VIEW:
            await self._say(event, whole_text(inquiry, team))
            return
        edit: dict[str, Json] | None = None
        if verb is Verb.EDIT:
            try:
                edit = edited_paths(msgspec.json.decode(edit_text.encode(), type=dict[str, Json]), inquiry)
            except (msgspec.DecodeError, ValueError) as error:
                await self._say(event, f"That edit is not a JSON object: {error}")
                return
        _person, evidence = sender_of(team, event.sender)
        guards, changes = self._closing(event, inquiry.task)
        await inquiries.press(
            self._context,
            InquiryId(inquiry.id),
            rules.Press(
                verb=verb,
                principal=person.id if person else None,
                account=event.sender.account,
                evidence=evidence,
                callback=event.key,
                revision=revision,
                reason=text,
                answer=answer,
                edit=edit,
                at_ms=event.at_ms,
            ),
            person,
            guards=guards,
            changes=changes,
            note_to=(event.conversation, event.key),
        )

    # --- Tasks ------------------------------------------------------------------------------------------------------

    async def control(self, event: Event, team: Team, person: Person | None, order: Control) -> None:
        """Cancel, retry, stop, resume."""
        if order.what in {"stop", "resume"}:
            await self._pause(event, team, person, order)
            return
        task = await self._find_task(event, order.scope)
        if task is None:
            return
        if person is None or not (person.role == "owner" or person.may_approve or person.id in task.initiators):
            await self._say(event, replies.NOT_YOURS)
        elif order.what == "cancel":
            await self._cancel(event, person, task)
        else:
            await self._retry(event, team, person, task)

    async def _cancel(self, event: Event, person: Person, task: Task) -> None:
        if task.phase.final:
            await self._say(event, replies.over_already(task.id))
            return
        plan = self._context.plan(self._context.env(await self._context.team()))
        guards, changes = self._closing(event, task.id)
        plan.guards.extend(guards)
        plan.changes.extend(changes)
        plan.signal(f"{event.key}:stop", task.id, StopOrder(by=person.name))
        plan.audit(task.id, event.key, "task.stop-ordered", principal=person.id, account=event.sender.account)
        post_id = post_of("answer", event.key)
        line = Line(text=replies.stopping(task.id))
        plan.post(Post(id=post_id, conversation=event.conversation, view=line, slot=post_id, at_ms=plan.env.now_ms))
        await self._context.commit(plan)

    async def _retry(
        self, event: Event, team: Team, person: Person, task: Task, exhausted: frozenset[str] = frozenset()
    ) -> None:
        """The whole piece of work again, from its root, as a new task under today's definition."""
        root = await self._context.store.read.task(task.root)
        if root is None or not root.phase.final:
            await self._say(event, replies.not_over(task.root))
            return
        env = self._context.env(team, exhausted=exhausted)
        new_id = task_of_event(event.key)
        role = root.role if root.role in team.roles else team.lead
        new = Task(
            id=new_id,
            root=new_id,
            role=role,
            title=root.title,
            brief=root.brief,
            conversation=root.conversation,
            asked_by=person.id,
            initiators=tuple(dict.fromkeys((*root.initiators, person.id))),
            definition=team.version,
            role_version=team.roles[role].version,
            gated=root.gated,
            created_at_ms=env.now_ms,
            updated_at_ms=env.now_ms,
        )
        plan = self._context.plan(env)
        guards, changes = self._closing(event, new_id)
        plan.guards.extend(guards)
        plan.changes.extend(changes)
        begin(plan, new, Begun(at_ms=env.now_ms, brief=new.brief, definition=team.version, asked_by=person.name))
        post_id = post_of("answer", event.key)
        line = Line(text=replies.retrying(root.id, new_id))
        plan.post(Post(id=post_id, conversation=event.conversation, view=line, slot=post_id, at_ms=env.now_ms))
        scope = exhausted_scope(await self._context.commit(plan))
        if scope is not None and scope not in exhausted:
            await self._retry(event, team, person, task, exhausted | {scope})

    async def _pause(self, event: Event, team: Team, person: Person | None, order: Control) -> None:
        if person is None or not person.may_approve:
            await self._say(event, replies.NOT_YOURS)
            return
        if order.scope == "all":
            scope, name = "all", "Everything"
        elif order.scope in team.roles:
            scope, name = f"role:{order.scope}", team.roles[order.scope].title
        else:
            task = await self._find_task(event, order.scope)
            if task is None:
                return
            scope, name = f"task:{task.id}", short(task.id)
        paused = order.what == "stop"
        line = Line(text=replies.stopped(name) if paused else replies.resumed(name))
        going_on = () if paused else await self._going_on(event)
        await self.answer(event, line, Pause(scope=scope, paused=paused, by=person.id), *going_on)

    async def _going_on(self, event: Event) -> tuple[Change, ...]:
        """Every task that was held is told, so that the time does not count as its work."""
        now_ms = self._context.clock.now_ms()
        rows = await self._context.store.read.tasks(open_only=True, limit=HELD_MAX)
        held = [row.task.id for row in rows if row.state == "paused" and row.task.active_since_ms is not None]
        return tuple(
            AddSignal(
                signal=Signal(id=SignalId(f"{event.key}:{task}"), task=task, due_at_ms=now_ms, errand=HoldEnded())
            )
            for task in held
        )

    async def _find_task(self, event: Event, prefix: str) -> Task | None:
        ids = await self._context.store.read.task_ids(prefix) if prefix.startswith("t-") else ()
        if len(ids) != 1:
            no = replies.ambiguous("task", prefix, ids) if ids else replies.no_such("task", prefix)
            await self._say(event, no)
            return None
        return await self._context.store.read.task(ids[0])

    # --- Looking ----------------------------------------------------------------------------------------------------

    async def show(self, event: Event, team: Team, person: Person | None, order: Show) -> None:
        """Answer from what is stored."""
        match order.what:
            case "inbox":
                await self.answer(event, await self.inbox(team))
            case "tasks":
                rows = await self._context.store.read.tasks(open_only=True, limit=20)
                lines = [f"{short(row.task.id)}  {row.task.role}  {row.state}  {row.task.title}" for row in rows]
                await self._say(event, "\n".join(lines) or replies.NOTHING_RUNS)
            case "task":
                task = await self._find_task(event, order.subject.strip())
                if task is not None:
                    await self._say(event, await self._tree(task))
            case "team":
                lines = [f"{role.id}: {role.title}" for role in team.roles.values()]
                await self._say(event, "\n".join(lines))
            case "whoami":
                await self._say(event, f"{person.name}, {person.role}" if person else replies.STRANGER)
            case _:
                await self._say(event, "\n".join(f"/{line}" for line in Usage().lines))

    async def inbox(self, team: Team) -> Inbox:
        """What waits for people, oldest first."""
        waiting = await self._context.store.read.inquiries()
        items = []
        for inquiry in waiting:
            row = await self._context.store.read.inquiry(inquiry.id)
            items.append((inquiry, rules.needs_of(inquiry, row.votes if row else (), team)))
        return views.inbox_view(tuple(items), team, self._context.clock.now_ms())

    async def _tree(self, task: Task) -> str:
        rows = await self._context.store.read.tasks(root=task.root)
        return "\n".join(
            f"{'  ' * row.task.depth}{short(row.task.id)}  {row.task.role}  {row.state}  {row.task.title}"
            for row in rows
        )


def _same_channel(shown: Conversation, pressed: Conversation) -> bool:
    """A button counts where it was shown (case_11): forwarded elsewhere it is nobody's. Threads may differ."""
    return (shown.platform, shown.account, shown.channel) == (pressed.platform, pressed.account, pressed.channel)


def whole_text(inquiry: Inquiry, team: Team) -> str:
    """The whole action, however long, for who wants to see it before deciding."""
    lines = [f"{field.name}: {field.shown}" for field in views.whole_of(inquiry)]
    return "\n".join((views.title_of_inquiry(inquiry, team), *lines))
