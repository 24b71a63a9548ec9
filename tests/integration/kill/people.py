"""The street: a platform that keeps what people saw in a file, and the people on it, who act on what they saw.

It is as good as the best of the real ones: what was not acknowledged is delivered again, with the same key, and it can
say whether a message arrived. People know nothing but their screen, and what the deploy script left behind.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from core.model.events import (
    CommandReceived,
    ControlPressed,
    Conversation,
    Event,
    FormSubmitted,
    MessageReceived,
    Sender,
)
from core.model.ids import TaskId, task_of_event
from core.model.inquiries import Verb
from core.model.views import DecidedCard, InquiryCard, Post
from core.ports import Intake, Platform, Reads
from core.rules.views import parse_control
from tests.integration.kill.windows import Fuse, append, lines_of

STREET = "street"
DELIBERATE_MS = 2_000
"""Between the two presses of somebody who decides alone: sooner, it is one click."""
LOOK_SECONDS = 0.03
AT_MS = 1_800_000_000_000
TOGETHER = 3
"""So many pieces of work at a time: the day is long enough for every kill to land in the middle of it."""


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work of the day: what is said, and how the people then behave."""

    id: str
    text: str
    manner: str = "approve"
    deploys: tuple[str, ...] = ()  # what the outside must show in the end, each once
    maybe: bool = False  # cancelled while it may run: at most that
    asks: int = 1  # times people are asked before anything is done

    @property
    def key(self) -> str:
        return f"{STREET}:{self.id}:0"

    @property
    def task(self) -> TaskId:
        return task_of_event(self.key)

    @property
    def conversation(self) -> Conversation:
        return Conversation(platform=STREET, account="a", channel=self.id)


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """One message as it arrived on the screen."""

    post: Post
    edits: str


@dataclass(frozen=True, slots=True)
class Records:
    """Files outside the workspace: what others know of the day."""

    root: Path

    @property
    def sends(self) -> Path:
        return self.root / "sends.jsonl"

    @property
    def acks(self) -> Path:
        return self.root / "acks"

    @property
    def executions(self) -> Path:
        return self.root / "executions"

    @property
    def kills(self) -> Path:
        return self.root / "kills.jsonl"

    def sent(self) -> list[Sent]:
        return [msgspec.json.decode(line, type=Sent) for line in lines_of(self.sends)]

    def executed(self) -> list[tuple[str, str]]:
        """(attempt, command line) of every execution, by the command's own word."""
        return [(line.split(" ")[0], " ".join(line.split(" ")[1:-1])) for line in lines_of(self.executions)]

    def killed(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in lines_of(self.kills)]


class Street(Platform):
    """Its people are the plan's."""

    def __init__(self, records: Records, errands: tuple[Errand, ...], reads: Reads, fuse: Fuse) -> None:
        self._records = records
        self._errands = errands
        self._reads = reads
        self._fuse = fuse
        self._acked = set(lines_of(records.acks))
        self._screen: dict[str, Post] = {}  # by slot
        self._arrived: set[str] = set()
        for sent in records.sent():
            self._show(sent.post)

    @property
    def name(self) -> str:
        return STREET

    async def run(self, intake: Intake) -> None:
        """The whole day, or what is left of it."""
        places = asyncio.Semaphore(TOGETHER)
        async with asyncio.TaskGroup() as group:
            for errand in self._errands:
                group.create_task(self._live(errand, intake, places))

    async def send(self, post: Post, edits: str, part: int = 0) -> str:
        append(self._records.sends, msgspec.json.encode(Sent(post=post, edits=edits)).decode())
        if isinstance(post.view, InquiryCard):
            self._fuse.at("card-sent-before-receipt")
        self._show(post)
        return edits or post.id

    async def find_sent(self, post: Post, edits: str, part: int = 0) -> str | None:
        return post.id if post.id in self._arrived else None

    def _show(self, post: Post) -> None:
        self._screen[post.slot] = post
        self._arrived.add(post.id)

    # --- People -----------------------------------------------------------------------------------------------------

    async def _live(self, errand: Errand, intake: Intake, places: asyncio.Semaphore) -> None:
        async with places:
            await self._say(intake, errand, "0", errand.text)
            while not await self._over(errand.task):
                for post in [p for p in self._screen.values() if p.conversation == errand.conversation]:
                    if isinstance(post.view, InquiryCard):
                        await self._attend(intake, errand, post.view)
                    elif isinstance(post.view, DecidedCard) and errand.manner == "late":
                        await self._cancel(intake, errand)
                await asyncio.sleep(LOOK_SECONDS)

    async def _over(self, task: TaskId) -> bool:
        found = await self._reads.task(task)
        return found is not None and found.phase.final

    async def _attend(self, intake: Intake, errand: Errand, card: InquiryCard) -> None:
        verbs = {parsed[1]: b.control for b in card.buttons if (parsed := parse_control(b.control))}
        if Verb.HAPPENED in verbs:
            await self._look_and_say(intake, errand, card, verbs)
        elif Verb.ANSWER in verbs:
            await self._press(intake, errand, card, card.buttons[0].control)
        elif errand.manner == "deny":
            await self._fill_in(intake, errand, card, verbs[Verb.DENY], reason="not before noon")
        elif errand.manner == "edit" and card.revision == 1:
            await self._fill_in(intake, errand, card, verbs[Verb.EDIT], edit='{"args.site": "docs"}')
        elif errand.manner == "cancel":
            await self._cancel(intake, errand)
        else:
            if errand.manner == "meanwhile":
                await self._say(intake, errand, "1", "and tell the support people")
            await self._press(intake, errand, card, verbs[Verb.APPROVE])

    async def _look_and_say(self, intake: Intake, errand: Errand, card: InquiryCard, verbs: dict[Verb, str]) -> None:
        """Nobody knows whether it happened, so a person goes and looks, and says what is so."""
        row = await self._reads.inquiry((await self._reads.inquiry_ids(card.inquiry))[0])
        happened = row is not None and any(a.startswith(f"{row.inquiry.task}:") for a, _ in self._records.executed())
        await self._press(intake, errand, card, verbs[Verb.HAPPENED if happened else Verb.RERUN])

    async def _say(self, intake: Intake, errand: Errand, n: str, text: str) -> None:
        await self._deliver(intake, MessageReceived(**self._from(errand, n), text=text))

    async def _cancel(self, intake: Intake, errand: Errand) -> None:
        await self._deliver(
            intake, CommandReceived(**self._from(errand, "cancel"), name="cancel", arguments=(errand.task,))
        )

    async def _press(self, intake: Intake, errand: Errand, card: InquiryCard, control: str) -> None:
        n = 1 if card.needs.startswith("two presses") or "press" not in card.needs else 2
        key = f"{card.inquiry}:{card.revision}:{n}:{control[-2:]}"
        pressed = self._from(errand, key) | {"at_ms": AT_MS + n * DELIBERATE_MS}
        await self._deliver(intake, ControlPressed(**pressed, control=control))

    async def _fill_in(self, intake: Intake, errand: Errand, card: InquiryCard, control: str, **fields: str) -> None:
        key = f"{card.inquiry}:{card.revision}:form"
        await self._deliver(intake, FormSubmitted(**self._from(errand, key), control=control, fields=fields))

    def _from(self, errand: Errand, n: str) -> dict[str, Any]:
        return {
            "key": f"{STREET}:{errand.id}:{n}",
            "at_ms": AT_MS,
            "conversation": errand.conversation,
            "sender": Sender(account=f"{STREET}:you", name="You"),
        }

    async def _deliver(self, intake: Intake, event: Event) -> None:
        """Until it is acknowledged it is delivered again, after every restart."""
        if event.key in self._acked:
            return
        await intake.accept(event)
        self._fuse.at("accepted-before-ack")
        append(self._records.acks, event.key)
        self._acked.add(event.key)
        self._fuse.at("acked")
