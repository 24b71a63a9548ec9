"""What people order: decide an inquiry, control tasks, look something up."""

from __future__ import annotations

import msgspec

from core.model.events import CommandReceived, Conversation, Event
from core.model.ids import InquiryId, SignalId, TaskId, post_of, short, task_of_event
from core.model.inquiries import Evidence, Inquiry, Verb
from core.model.signals import HoldEnded, Signal, StopOrder
from core.model.team import Json, Person, Team
from core.model.unit import AddSignal, Applied, Change, CloseEvent, Guard, Pause, SetMeta, State, Table
from core.model.views import Inbox, Line, Post, View
from core.model.work import Begun, Task
from core.rules import forms, notes, replies, views
from core.rules import inquiry as rules
from core.rules.commands import Control, Decide, Link, Show, Usage, edited_paths
from core.rules.plan import begin, showings
from core.rules.router import Press as Pressed
from core.rules.router import sender_of
from core.runtime import inquiries, linking, looking
from core.runtime.context import Context, exhausted_scope

HELD_MAX = 10_000
EDIT_FIELD = "edit"
"""An edit as JSON, where a platform's form cannot hold an input for each path; and on a command line."""
DAY_MS = 86_400_000


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

    async def turn_away(self, event: Event) -> None:
        """One polite line a day for each stranger; the rest of what they say is not answered."""
        now_ms = self._context.clock.now_ms()
        plan = self._context.plan(self._context.env(await self._context.team()))
        guards, changes = self._closing(event)
        plan.guards.extend(guards)
        plan.changes.extend(changes)
        post_id = post_of("stranger", event.sender.account, now_ms // DAY_MS)
        line = Line(text=replies.STRANGER, private=True, to=event.sender.account, event=event.key)
        plan.post(Post(id=post_id, conversation=event.conversation, view=line, slot=post_id, at_ms=now_ms))
        await self._context.commit(plan)

    async def link(self, event: Event, team: Team, person: Person | None, order: Link) -> None:
        """A code for another account, or what such a code is worth."""
        now_ms, account = self._context.clock.now_ms(), event.sender.account
        if order.code:
            found = await linking.redeem(self._context.store.read, team, event, order.code, now_ms)
            if found is None:
                await self._privately(event, replies.CODE_UNKNOWN)
                return
            new, guards, changes = found
            audit = {"principal": new.id, "account": account}
            done = await self._privately(event, replies.linked(new.name), *changes, guards=guards, audit=audit)
            if not done:
                await self._privately(event, replies.CODE_UNKNOWN)
        elif person is not None:
            code = await linking.issue(self._context.store, self._context.ids, person.id, person.id, now_ms)
            await self._privately(event, replies.link_code(code))

    async def _privately(
        self,
        event: Event,
        text: str,
        *more: Change,
        guards: tuple[Guard, ...] = (),
        audit: dict[str, str] | None = None,
    ) -> bool:
        """Close the event with a line for its sender only. False if a guard failed: then nothing is committed."""
        plan = self._context.plan(self._context.env(await self._context.team()))
        closing, changes = self._closing(event)
        plan.guards.extend((*closing, *guards))
        plan.changes.extend((*changes, *more))
        if audit is not None:
            plan.audit(event.sender.account, event.key, "account.linked", **audit)
        post_id = post_of("answer", event.key)
        line = Line(text=text, private=True, to=event.sender.account, event=event.key)
        plan.post(
            Post(id=post_id, conversation=event.conversation, view=line, slot=post_id, rank=0, at_ms=plan.env.now_ms)
        )
        return isinstance(await self._context.commit(plan), Applied)

    async def _say(self, event: Event, line: str) -> None:
        await self.answer(event, Line(text=line))

    # --- Inquiries --------------------------------------------------------------------------------------------------

    async def press(self, event: Event, team: Team, person: Person | None, pressed: Pressed) -> None:
        """A button or a form: its control says which inquiry, which revision, and what. A decision counts only where
        it was shown; to see the whole is for everybody it concerns, wherever they are.
        """
        parsed = views.parse_control(pressed.control)
        if parsed is None:
            await self._privately(event, replies.UNKNOWN_BUTTON)
            return
        nonce, verb, option = parsed
        delivery = await self._context.store.read.delivery(views.nonce_hash(nonce))
        row = await self._context.store.read.inquiry(delivery.inquiry) if delivery else None
        if delivery is None or row is None:
            await self._privately(event, replies.UNKNOWN_BUTTON)
            return
        looks = verb is Verb.VIEW and _concerns(row.inquiry, person)
        if not looks and not _same_channel(delivery.conversation, event.conversation):
            await self._privately(event, replies.UNKNOWN_BUTTON)
            return
        fields = dict(pressed.fields) if pressed.fields is not None else None
        answer: Json = None
        if option is not None and option < len(row.inquiry.options):
            answer, fields = row.inquiry.options[option], None
        await self._decide(
            event,
            team,
            person,
            row.inquiry,
            verb,
            revision=delivery.revision,
            text=(fields or {}).get("reason", "") or (fields or {}).get("text", ""),
            answer=answer,
            fields=fields,
        )

    async def decide(self, event: Event, team: Team, person: Person | None, order: Decide) -> None:
        """A command: names its inquiry, or means the only one that is open."""
        inquiry = await self._find(event, order.inquiry)
        if inquiry is None:
            return
        named = {Verb.ANSWER: forms.ANSWER, Verb.EDIT: EDIT_FIELD}.get(order.verb)
        fields = {named: order.text} if named else None
        await self._decide(event, team, person, inquiry, order.verb, revision=0, text=order.text, fields=fields)

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
        answer: Json = None,
        fields: dict[str, str] | None = None,
    ) -> None:
        if verb is Verb.VIEW:
            whole = whole_text(inquiry, team)
            await (self._say if isinstance(event, CommandReceived) else self._privately)(event, whole)
            return
        edit: dict[str, Json] | None = None
        if verb is Verb.EDIT and (fields is None or (EDIT_FIELD in fields and EDIT_FIELD not in inquiry.editable)):
            try:
                typed = msgspec.json.decode((fields or {}).get(EDIT_FIELD, "").encode(), type=dict[str, Json])
                edit, fields = edited_paths(typed, inquiry), None
            except (msgspec.DecodeError, ValueError) as error:
                await self._privately(event, f"{notes.NOT_JSON}: {error}")
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
                fields=fields if verb in {Verb.ANSWER, Verb.EDIT} else None,
                conversation=event.conversation,
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

    async def show(
        self, event: Event, team: Team, person: Person | None, order: Show, evidence: Evidence = Evidence.VERIFIED
    ) -> None:
        """Answer from what is stored; `new` and `mute` keep a fact about this conversation."""
        now_ms = self._context.clock.now_ms()
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
            case "whoami" if person is not None:
                await self._say(event, looking.who(person, event.sender.account, evidence.value))
            case "model":
                await self._say(event, looking.models(team))
            case "budget":
                await self._say(event, await looking.budgets(self._context, team))
            case "new":
                began = SetMeta(name=looking.new_name(event.conversation.key), value=str(now_ms))
                await self.answer(event, Line(text=replies.NEW_TALK), began)
            case "mute":
                line, kept = looking.mute(event, order.subject, now_ms)
                await self.answer(event, Line(text=line), *kept)
            case _:
                await self._say(event, "\n".join(f"/{line}" for line in Usage().lines))

    async def inbox(self, team: Team) -> Inbox:
        """What waits for people, oldest first."""
        waiting = await self._context.store.read.inquiries()
        items = []
        for inquiry in waiting:
            row = await self._context.store.read.inquiry(inquiry.id)
            items.append((inquiry, rules.needs_of(inquiry, row.votes if row else (), team)))
        secret = self._context.secret
        nonces = {str(i.id): views.control_nonce(secret, showings(i)[0].delivery) for i in waiting}
        return views.inbox_view(tuple(items), team, self._context.clock.now_ms(), nonces)

    async def _tree(self, task: Task) -> str:
        rows = await self._context.store.read.tasks(root=task.root)
        return "\n".join(
            f"{'  ' * row.task.depth}{short(row.task.id)}  {row.task.role}  {row.state}  {row.task.title}"
            for row in rows
        )


def _same_channel(shown: Conversation, pressed: Conversation) -> bool:
    """A button counts where it was shown (case_11): forwarded elsewhere it is nobody's. Threads may differ."""
    return (shown.platform, shown.account, shown.channel) == (pressed.platform, pressed.account, pressed.channel)


def _concerns(inquiry: Inquiry, person: Person | None) -> bool:
    """Whoever may decide it, or asked for it."""
    return person is not None and person.id in {*inquiry.initiators, *(p for s in inquiry.stages for p in s.eligible)}


def whole_text(inquiry: Inquiry, team: Team) -> str:
    """The whole action, however long, for who wants to see it before deciding."""
    lines = [f"{field.name}: {field.shown}" for field in views.whole_of(inquiry)]
    return "\n".join((views.title_of_inquiry(inquiry, team), *lines))
