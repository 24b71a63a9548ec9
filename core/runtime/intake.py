"""Accept an event: one transaction, and only then may its platform be told (P1)."""

from __future__ import annotations

import hashlib

import msgspec

from core.model.events import Conversation, Event, MessageReceived
from core.model.unit import AddEvent, Applied, InsertOnce, SetMeta, Unit
from core.model.views import InquiryCard
from core.ports import Bus, Intake, Store
from core.rules import views
from core.rules.inquiry import needs_of
from core.rules.router import names_a_role
from core.runtime.context import Context
from core.runtime.replying import agreed_to

THREADS_MAX = 200


class StoreIntake:
    """Takes events, and no more. It needs no engine: the command line uses it while the engine is down."""

    def __init__(self, store: Store, bus: Bus | None = None) -> None:
        self._store = store
        self._bus = bus

    async def accept(self, event: Event) -> bool:
        """Commit it. True: new. False: seen before, in these words or others; the first stands."""
        digest = hashlib.sha256(msgspec.json.encode(event)).hexdigest()
        unit = Unit(guards=(InsertOnce(key=event.key, digest=digest),), changes=(AddEvent(event=event),))
        answer = await self._store.commit(unit)
        if self._bus is not None:
            self._bus.notify("events")
        return isinstance(answer, Applied) and not answer.known


class FrontDesk(StoreIntake, Intake):
    """Implements ports.Intake: what platforms may ask the engine."""

    def __init__(self, context: Context) -> None:
        super().__init__(context.store, context.bus)
        self._context = context

    async def concerns(self, event: MessageReceived) -> bool:
        team, where = self._context.teams.current(), event.conversation
        if names_a_role(event.text, team) or f"{where.platform}:{where.channel}" in team.channels:
            return True
        if bool(where.thread) and await self._context.store.read.talked(where):
            return True
        return await agreed_to(self._context, team, event) is not None  # under a card that is in nobody's thread

    async def knows(self, account: str) -> bool:
        team = self._context.teams.current()
        if team.person_of_account(account) is not None:
            return True
        link = await self._context.store.read.account(account)
        return link is not None and team.person(link.person) is not None

    async def card(self, control: str) -> InquiryCard | None:
        parsed, read = views.parse_control(control), self._context.store.read
        delivery = await read.delivery(views.nonce_hash(parsed[0])) if parsed else None
        row = await read.inquiry(delivery.inquiry) if delivery else None
        if parsed is None or row is None or delivery is None or delivery.revision != row.inquiry.revision:
            return None
        if row.inquiry.state.final or delivery.conversation in row.inquiry.left:
            return None
        team, now_ms = self._context.teams.current(), self._context.clock.now_ms()
        needs = needs_of(row.inquiry, row.votes, team)
        return views.inquiry_card(row.inquiry, team, row.votes, parsed[0], now_ms, needs=needs)

    async def threads(self, platform: str, account: str) -> tuple[Conversation, ...]:
        return await self._context.store.read.places(platform, account, THREADS_MAX)

    async def recall(self, name: str) -> str:
        return await self._context.store.read.meta(f"note:{name}") or ""

    async def note(self, name: str, value: str) -> None:
        await self._context.store.commit(Unit(changes=(SetMeta(name=f"note:{name}", value=value),)))
