"""Approve several inquiries with one word: one transaction, each at the revision that was seen, or nothing at all."""

from __future__ import annotations

import msgspec

from core.model.events import Event
from core.model.ids import InquiryId
from core.model.inquiries import Evidence, Inquiry, Verb
from core.model.team import Person, Team
from core.model.unit import Applied, CloseEvent, InquiryRow, State, Table, Version
from core.rules import inbox as rules
from core.rules import notes, replies
from core.rules.commands import ApproveAll
from core.rules.decisions import Decision, Press
from core.rules.inquiry import press as judge
from core.rules.plan import Plan
from core.rules.several import Judged, Together, together, unseen
from core.rules.step import Env
from core.runtime import inquiries
from core.runtime.away import absences_of, stand_ins
from core.runtime.context import Context
from core.runtime.deciding import StaleError
from core.runtime.directs import directs_of, is_private, private_place, where_asked
from core.runtime.standing import standing_of, standings_of


class Several:
    """One word of one person about several inquiries."""

    def __init__(self, context: Context, event: Event, person: Person | None, evidence: Evidence) -> None:
        self._context = context
        self._event = event
        self._who = person.id if person else ""
        self._evidence = evidence

    async def approve(self, order: ApproveAll) -> None:
        """All of them in one transaction, each at the revision that was seen; or none, saying which and why."""
        ids, unknown = await self._find(order.inquiries)
        if unknown:
            await self._answer(unknown)
            return
        for _ in range(inquiries.TRIES_MAX):
            team = await self._context.team()
            judged = [await self._judge(one, team, order.text) for one in ids]
            if await self._commit(team, judged, together(judged)):
                return
        raise StaleError(f"{self._event.key}: {inquiries.TRIES_MAX} tries")

    async def _find(self, typed: tuple[str, ...]) -> tuple[tuple[InquiryId, ...], str]:
        found: dict[InquiryId, None] = {}
        for prefix in typed:
            ids = await self._context.store.read.inquiry_ids(prefix)
            if len(ids) != 1:
                no = replies.ambiguous("inquiry", prefix, ids) if ids else replies.no_such("inquiry", prefix)
                return (), replies.none_of_several(((prefix, no),))
            found[ids[0]] = None
        return tuple(found), ""

    async def _judge(self, inquiry_id: InquiryId, team: Team, text: str) -> Judged:
        context, event = self._context, self._event
        read = context.store.read
        row = await read.inquiry(inquiry_id)
        if row is None:
            raise LookupError(inquiry_id)
        revision = await self._seen(row)
        if not row.inquiry.state.final and (why := unseen(row.inquiry, revision)):
            return Judged(row=row, decision=Decision(inquiry=row.inquiry, note=why))
        where = where_asked(context, row.inquiry, event.conversation)
        own = await standing_of(context, team, self._who, event.sender.account, where)
        others = await standings_of(context, team, row, self._who)
        task = await read.task(row.inquiry.task)
        decision = judge(
            row,
            self._press(row.inquiry, text),
            own,
            team,
            context.clock.now_ms(),
            task_alive=inquiries.is_alive(row.inquiry, task),
            fingerprint_now=inquiries.fingerprint_now(context, row.inquiry),
            others=others,
            absences=await absences_of(context, row.inquiry),
        )
        return Judged(row=row, decision=decision, standings=(own, *others))

    def _press(self, inquiry: Inquiry, text: str) -> Press:
        event = self._event
        return Press(
            verb=Verb.APPROVE,
            principal=self._who or None,
            account=event.sender.account,
            evidence=self._evidence,
            callback=f"{event.key}:{inquiry.id}",
            revision=inquiry.revision,
            reason=text,
            conversation=event.conversation,
            at_ms=event.at_ms,
        )

    async def _seen(self, row: InquiryRow) -> int:
        read, inquiry = self._context.store.read, row.inquiry
        kept = await read.meta(rules.viewed_name(inquiry.id, self._who))
        listing = await read.meta(rules.listed_name(self._who))
        listed_then = msgspec.json.decode(listing, type=dict[str, int]) if listing else {}
        where, account = self._event.conversation, self._event.sender.account
        private = private_place(self._context, account) if is_private(self._context, where) else None
        return max(rules.revision_seen(row, one, int(kept or 0), listed_then) for one in {where, private or where})

    async def _commit(self, team: Team, judged: list[Judged], decided: Together) -> bool:
        """False: somebody was faster, judge again. Raises StaleError when the event is dealt with already."""
        directs = await directs_of(self._context, team, self._event.conversation, ())
        plan = self._plan(self._context.env(team, directs=directs, stand_ins=await stand_ins(self._context)))
        by = (self._who, self._event.sender.account)
        whys = {inquiry.id: why for inquiry, why in decided.refused}
        for one in judged if whys else ():
            press = self._press(one.inquiry, "")
            inquiries.refuse(plan, one.inquiry, press, whys.get(one.inquiry.id, notes.WITH_OTHERS))
        for one in decided.write:
            inquiries.write(plan, one.row, one.decision, by)
            inquiries.look_again(plan, one.row, one.decision, one.standings)
            plan.roots.add(one.inquiry.root)
        for one in judged:
            plan.guards.append(Version(table=Table.INQUIRY, id=one.inquiry.id, version=one.inquiry.version))
        if decided.refused:
            text = replies.none_of_several(tuple((i.id, why) for i, why in decided.refused))
        else:
            text = replies.several_decided(tuple((one.inquiry.id, one.decision.note) for one in decided.write))
        inquiries.note(plan, text, self._event.conversation, self._event.key, to=self._event.sender.account)
        answer = await self._context.commit(plan)
        if isinstance(answer, Applied):
            return True
        if isinstance(answer.guard, State) and answer.guard.table is Table.EVENT:
            raise StaleError(str(answer))
        return False

    async def _answer(self, text: str) -> None:
        plan = self._plan(self._context.env(await self._context.team()))
        inquiries.note(plan, text, self._event.conversation, self._event.key, to=self._event.sender.account)
        await self._context.commit(plan)

    def _plan(self, env: Env) -> Plan:
        plan = self._context.plan(env)
        plan.guards.append(State(table=Table.EVENT, id=self._event.key, states=("new",)))
        plan.changes.append(CloseEvent(key=self._event.key, task=None))
        return plan
