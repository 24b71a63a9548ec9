"""What people order: decide an inquiry, control tasks, look something up."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from core.model.events import CommandReceived, ControlPressed, Event, FormSubmitted
from core.model.ids import InquiryId, TaskId, post_of, short, task_of_event
from core.model.inquiries import Evidence, Inquiry, Verb
from core.model.signals import StopOrder
from core.model.team import Json, Person, Team
from core.model.unit import AddPost, Applied, Change, CloseEvent, Guard, InquiryRow, Pause, SetMeta, State, Table
from core.model.views import Line, Post, View
from core.model.work import Begun, Task
from core.rules import forms, notes, replies, views, words
from core.rules import inquiry as rules
from core.rules.commands import Always, Control, Decide, Link, Show, Usage, edited_paths
from core.rules.inbox import Wanted, wanted_of
from core.rules.plan import begin
from core.rules.router import Press as Pressed
from core.rules.router import sender_of
from core.rules.times import Wanted as Times
from core.runtime import adopting, digests, holding, inbox, inquiries, linking, looking, receipts
from core.runtime.always import Then, proposing
from core.runtime.away import stand_ins_at
from core.runtime.context import Context, exhausted_scope
from core.runtime.directs import is_here

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
        if isinstance(event, ControlPressed | FormSubmitted):
            account = event.sender.account
            plan.audit(account, event.key, "press.refused", account=account, reason=notes.UNKNOWN_PERSON)
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
        what: str = "account.linked",
    ) -> bool:
        """Close the event with a line for its sender only. False if a guard failed: then nothing is committed."""
        plan = self._context.plan(self._context.env(await self._context.team()))
        closing, changes = self._closing(event)
        plan.guards.extend((*closing, *guards))
        plan.changes.extend((*changes, *more))
        if audit is not None:
            plan.audit(event.sender.account, event.key, what, **audit)
        post_id = post_of("answer", event.key)
        line = Line(text=text, private=True, to=event.sender.account, event=event.key)
        plan.post(
            Post(id=post_id, conversation=event.conversation, view=line, slot=post_id, rank=0, at_ms=plan.env.now_ms)
        )
        return isinstance(await self._context.commit(plan), Applied)

    async def _refuse(self, event: Event, person: Person | None, why: str) -> None:
        """A press that is of nothing here: forged, forwarded, or of a place that decides no longer. It is on record."""
        audit = {"principal": person.id if person else "", "account": event.sender.account, "reason": why}
        await self._privately(event, why, audit=audit, what="press.refused")

    async def _say(self, event: Event, line: str) -> None:
        await self.answer(event, Line(text=line))

    # --- Inquiries --------------------------------------------------------------------------------------------------

    async def press(self, event: Event, team: Team, person: Person | None, pressed: Pressed) -> None:
        """A button or a form: its control says which inquiry, which revision, and what. A decision counts only where
        it was shown; to see the whole is for everybody it concerns, wherever they are.
        """
        parsed = views.parse_control(pressed.control)
        if parsed is None:
            await self._refuse(event, person, replies.UNKNOWN_BUTTON)
            return
        nonce, verb, option = parsed
        delivery = await self._context.store.read.delivery(views.nonce_hash(nonce))
        row = await self._context.store.read.inquiry(delivery.inquiry) if delivery else None
        if delivery is None or row is None:
            await self._refuse(event, person, replies.UNKNOWN_BUTTON)
            return
        looks = verb is Verb.VIEW and _concerns(row.inquiry, person)
        if not looks and not is_here(self._context, delivery.conversation, event.conversation, event.sender.account):
            await self._refuse(event, person, replies.UNKNOWN_BUTTON)
            return
        if not looks and delivery.conversation in row.inquiry.left:
            await self._refuse(event, person, notes.MOVED_ON)
            return
        await receipts.learn(self._context, event, delivery)
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
        await self._decide(
            event, team, person, inquiry, order.verb, revision=0, text=order.text, fields=fields, wanted=order.wanted
        )

    async def always(self, event: Event, team: Team, person: Person | None, order: Always) -> None:
        """An approval, and in the same transaction a proposal that an owner decides."""
        inquiry = await self._find(event, order.inquiry)
        if inquiry is None:
            return
        then = await proposing(self._context, team, person, inquiry, order.until)
        if isinstance(then, str):
            await self._privately(event, then)
        else:
            await self._decide(event, team, person, inquiry, Verb.APPROVE, revision=0, text="", then=then)

    async def agree(self, event: Event, team: Team, person: Person, inquiry: Inquiry, revision: int) -> None:
        """A "yes" where the policy counts it."""
        await self._decide(event, team, person, inquiry, Verb.APPROVE, revision=revision, text="")

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
        wanted: Times | None = None,
        then: Then | None = None,
    ) -> None:
        if verb is Verb.VIEW:
            await self._view(event, team, person, inquiry)
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
                wanted=wanted,
            ),
            person,
            guards=guards,
            changes=changes,
            note_to=(event.conversation, event.key),
            then=then,
        )

    async def _view(self, event: Event, team: Team, person: Person | None, inquiry: Inquiry) -> None:
        """The whole of it; from now on they have seen it as it is."""
        row = await self._context.store.read.inquiry(inquiry.id)
        if row is None:
            raise LookupError(inquiry.id)
        now_ms = self._context.clock.now_ms()
        instead = await stand_ins_at(self._context.store.read, now_ms)
        whole, account = whole_text(row, team, now_ms, instead), event.sender.account
        if person is None:
            await self._privately(event, whole)
            return
        plan = self._context.plan(self._context.env(team))
        plan.changes.append(inbox.viewed(inquiry, person.id))
        seen = {"revision": inquiry.revision, "digest": inquiry.digest, "place": event.conversation.key}
        plan.audit(inquiry.id, event.key, "inquiry.viewed", principal=person.id, account=account, **seen)
        if isinstance(event, CommandReceived):
            await self.answer(event, Line(text=whole), *plan.changes)
        else:
            await self._privately(event, whole, *plan.changes)

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
        elif order.what == "adopt":
            await adopting.adopt(self._context, event, person, task)
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
        new_id = task_of_event(event.key)
        team = self._context.teams.of(new_id)
        env = self._context.env(team, exhausted=exhausted)
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
        if not paused:
            await holding.going_on(self._context)
        plan, who = (
            self._context.plan(self._context.env(team)),
            {"principal": person.id, "account": event.sender.account},
        )
        plan.audit(scope, event.key, "work.stopped" if paused else "work.resumed", **who)
        await self.answer(event, line, Pause(scope=scope, paused=paused, by=person.id), *plan.changes)

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
                await self._inbox(event, team, person, order.subject)
            case "decisions":
                await self._say(event, await looking.decisions(self._context, team, order.subject))
            case "digest":
                await self._say(event, await digests.now(self._context.store.read, team, now_ms))
            case "tasks":
                rows = await self._context.store.read.tasks(open_only=True, limit=20)
                lines = [f"{short(row.task.id)}  {row.task.role}  {row.state}  {row.task.title}" for row in rows]
                await self._say(event, "\n".join(lines) or replies.NOTHING_RUNS)
            case "task":
                task = await self._find_task(event, order.subject.strip())
                if task is not None:
                    await self._say(
                        event, "\n\n".join(filter(None, (await self._tree(task), looking.result(task, team))))
                    )
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

    async def _inbox(self, event: Event, team: Team, person: Person | None, subject: str) -> None:
        """What is shown here has been seen by who asked for it."""
        who, wanted = person.id if person else "", wanted_of(subject) or Wanted()
        read, now_ms = self._context.store.read, self._context.clock.now_ms()
        found = await inbox.page(read, team, wanted, who, stand_ins=await stand_ins_at(read, now_ms))
        more: list[Change] = [inbox.listed(who, found.inquiries)]
        if below := found.below(now_ms):
            post_id = post_of("below", event.key)
            line = Line(text=below)
            post = Post(id=post_id, conversation=event.conversation, view=line, slot=post_id, at_ms=now_ms)
            more.append(AddPost(post=post))
        await self.answer(event, found.view(team, now_ms, self._context.secret), *more)

    async def _tree(self, task: Task) -> str:
        rows = await self._context.store.read.tasks(root=task.root)
        return "\n".join(
            f"{'  ' * row.task.depth}{short(row.task.id)}  {row.task.role}  {row.state}  {row.task.title}"
            for row in rows
        )


def _concerns(inquiry: Inquiry, person: Person | None) -> bool:
    """Whoever may decide it, or asked for it."""
    return person is not None and person.id in {*inquiry.initiators, *(p for s in inquiry.stages for p in s.eligible)}


def whole_text(row: InquiryRow, team: Team, now_ms: int, stand_ins: Mapping[str, str]) -> str:
    """The whole action, however long, and how things stand, for who wants to see it before deciding."""
    inquiry, name = row.inquiry, short(row.inquiry.id)
    needs = rules.needs_of(inquiry, row.votes, team, stand_ins)
    card = views.inquiry_card(inquiry, team, row.votes, "", now_ms, needs=needs)
    lines = [card.title, card.line, *(f"{field.name}: {field.shown}" for field in card.whole)]
    lines.append(f'"{card.why}"' if card.why else "")
    if inquiry.state.final:
        lines.append(views.decided_card(inquiry, team, now_ms).headline)
    else:
        due = "" if inquiry.decide_by_ms is None else views.human_when(inquiry.decide_by_ms, now_ms, team.zone)
        when = words.by_when(due, late=inquiry.overdue) if due else ""
        lines.append(words.SEPARATOR.join(filter(None, (card.tier, when, card.needs))))
        lines += [card.hint, words.decide_by(name, inquiry.verbs), words.also(name)]
    return "\n".join(filter(None, lines))
