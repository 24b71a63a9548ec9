"""A service, a model and a bot, and the words a test is written in. What it counts it counts in the fake's journal."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Container, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import msgspec

from tests.conformance.platforms.bot import Bot
from tests.conformance.platforms.model import ModelServer
from tests.conformance.platforms.services import NATIVES, Natives
from tests.fakes.service import Fault, Place, Pressed, Service, Shown, Someone

SECONDS = 20.0
QUIET_SECONDS = 0.4
UNCERTAIN = "Delivery uncertain"
COUNTED = ("pong", "Heard", "Reply to this message")
"""Counted by the word, or said to each of several messages and presses."""


def says(text: str, words: str) -> bool:
    """These words stand in it, each whole: "pong w1" is not in "pong w10"."""
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text) is not None


def twice_in(shown: Iterable[Shown], fresh: Container[str], due: Mapping[tuple[Place, str], int]) -> dict[str, int]:
    """Texts that stand more often in one place than they should, and how much too often, where a fresh one is among
    them. A private note should stand once for each event that it answers, of `due` by place and text; else once.
    """
    there: dict[tuple[Place, str], list[Shown]] = defaultdict(list)
    for one in shown:
        if one.text and not one.only_for:
            there[one.place, one.text].append(one)
    found: Counter[str] = Counter()
    for (place, text), ones in there.items():
        fresh_n = sum(one.id in fresh for one in ones)
        notes_n = due.get((place, text), 0)
        found[text] += max(0, min(fresh_n, len(ones) - notes_n)) if notes_n else max(0, fresh_n - 1)
    return {text: n for text, n in found.items() if n}


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One test of one adapter, as the table counts it."""

    adapter: str
    group: int
    test: str
    kills: int
    requests: int
    duplicates: int
    lost: int
    passed: bool = True
    details: tuple[str, ...] = ()


@dataclass(slots=True)
class Talk:
    """What was said somewhere, and what came of it: messages of the bot's that were not there before."""

    stage: Stage
    place: Place
    message: str
    word: str
    before: frozenset[str]

    def shown(self) -> tuple[Shown, ...]:
        return tuple(one for one in self.stage.service.screen(self.place) if one.id not in self.before)

    def having(self, text: str) -> tuple[Shown, ...]:
        return tuple(one for one in self.shown() if any(says(part, text) for part in _parts(one)))

    async def until(self, text: str, *, seconds: float = SECONDS) -> Shown:
        """The newest message with this in it."""
        return await self.find(lambda one: says(one.text, text), seconds=seconds)

    async def card(self, button: str = "Approve", *, seconds: float = SECONDS) -> Shown:
        """The newest message with this button."""
        return await self.find(lambda one: button in one.buttons, seconds=seconds)

    async def find(self, wanted: Callable[[Shown], bool], *, seconds: float = SECONDS) -> Shown:
        def newest(_: tuple[Shown, ...]) -> Shown | None:
            return next((one for one in reversed(self.shown()) if wanted(one)), None)

        try:
            return await self.stage.service.until(newest, seconds=seconds, place=self.place)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.stage.bot.state()}") from None

    async def once(self, *, doubt: bool = False, seconds: float = SECONDS) -> None:
        """The word was answered exactly once. In doubt, where nobody can know: at most once, or it is said to be
        uncertain.
        """
        answer = f"pong {self.word}"
        blind = doubt and self.stage.natives.blind
        await self.find(lambda one: says(one.text, answer) or (blind and says(one.text, UNCERTAIN)), seconds=seconds)
        await asyncio.sleep(QUIET_SECONDS)
        answers = self.having(answer)
        assert len(answers) <= 1, [one.text for one in answers]
        assert answers or (blind and self.having(UNCERTAIN)), [one.text for one in self.shown()]

    @property
    def answers_n(self) -> int:
        return len(self.having(f"pong {self.word}"))


def _parts(one: Shown) -> tuple[str, ...]:
    return (one.text, *(content.decode("utf-8", "replace") for _, content in one.files))


@dataclass(slots=True, kw_only=True)
class Stage:
    """Shared by the tests of a module; every test speaks in a place or with words of its own."""

    service: Service
    model: ModelServer
    bot: Bot
    talks: list[Talk] = field(default_factory=list)
    doubtful: set[str] = field(default_factory=set)  # words whose answer may rightly have got lost, but for a line
    words: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _begun: tuple[int, int, int, frozenset[str]] = (0, 0, 0, frozenset())

    @property
    def natives(self) -> Natives:
        return NATIVES[self.service.name]

    def word(self) -> str:
        return f"w{next(self.words)}"

    async def ping(
        self,
        *,
        who: Someone | None = None,
        place: Place | None = None,
        word: str = "",
        mention: bool = True,
        reply_to: str = "",
        more: str = "",
        answer: str = "",
        files: tuple[tuple[str, str, bytes], ...] = (),
    ) -> Talk:
        """Somebody gives the team a word to answer. `answer`: with this text."""
        word = word or self.word()
        if answer:
            self.model.texts[word] = answer
        text = f"ping {word} {more}".strip()
        talk = await self.say(text, who=who, place=place, mention=mention, reply_to=reply_to, files=files)
        talk.word = word
        self.talks.append(talk)
        return talk

    async def say(
        self,
        text: str,
        *,
        who: Someone | None = None,
        place: Place | None = None,
        mention: bool = True,
        reply_to: str = "",
        files: tuple[tuple[str, str, bytes], ...] = (),
    ) -> Talk:
        place = place or self.service.fresh()
        before = frozenset(one.id for one in self.service.screen())
        mention = mention and not place.private
        who = who or self.service.owner
        message = await self.service.say(who, text, place, mention=mention, reply_to=reply_to, files=files)
        return Talk(self, place, message, "", before)

    async def press(self, who: Someone, shown: Shown, label: str) -> Pressed:
        return await self.service.press(who, shown.id, label)

    @asynccontextmanager
    async def expired(self) -> AsyncIterator[None]:
        """Meanwhile whatever presses carry for answering is too old, where a fake can do that."""
        with suppress(NotImplementedError):
            self.service.expire()
        yield
        await self.service.reconnectable()

    async def asked(self, *, word: str = "", answer: str = "") -> Talk:
        """A ping: the model has been asked, the status line stands, and nothing goes on until the gate is opened."""
        self.model.gate.clear()
        waiting_n = self.model.waiting_n
        talk = await self.ping(word=word, answer=answer)
        await self.happened(lambda: self.model.waiting_n > waiting_n, "the model was never asked")
        await talk.until("thinking")
        return talk

    async def order(self, name: str, arguments: str = "", *, place: Place | None = None) -> Talk:
        place = place or self.service.fresh()
        before = frozenset(one.id for one in self.service.screen())
        await self.service.order(self.service.owner, name, arguments, place)
        return Talk(self, place, "", "", before)

    def plan(self, method: str, window: str = "", *, applied: bool = False) -> Fault:
        """Kill the bot at its next request of this kind."""

        async def kill() -> None:
            if not self.bot.dead:
                await self.bot.kill(window)

        return self.service.faults.plan(Fault(method=method, applied=applied, hook=kill))

    async def met(self, fault: Fault, *, seconds: float = SECONDS) -> None:
        """The fault has happened, and if it is a kill, the bot is dead."""
        await self.happened(lambda: fault.times == 0, f"no request met {fault}", seconds=seconds)
        if fault.hook is not None:
            await self.happened(lambda: self.bot.dead, "it was not killed", seconds=seconds)
        await asyncio.sleep(0.2)

    async def happened(self, there: Callable[[], bool], what: str, *, seconds: float = SECONDS) -> None:
        give_up = time.monotonic() + seconds
        while not there():
            assert time.monotonic() < give_up, f"{what}\n{self.bot.state()}"
            await asyncio.sleep(0.002)

    async def quiet(self, seconds: float = 0.6) -> None:
        """Until nothing has taken effect for so long: greetings are over."""
        said_n = -1
        while self.journal_n("applied") != said_n:
            said_n = self.journal_n("applied")
            await asyncio.sleep(seconds)

    def journal_n(self, what: str, method: str = "*") -> int:
        return len(self.service.journal.lines(what, method))

    # --- Counting ---------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A test begins."""
        self.talks.clear()
        self.doubtful.clear()
        self.service.faults.clear()
        self.model.gate.set()
        shown = frozenset(one.id for one in self.service.screen())
        self._begun = (self.journal_n("killed"), self.journal_n("request"), len(self.bot.troubles()), shown)

    def troubles(self) -> list[str]:
        """Of this test."""
        return self.bot.troubles()[self._begun[2] :]

    def record(self, group: int, test: str, *, passed: bool) -> Record:
        """What this test came to."""
        killed_n, asked_n, _, before = self._begun
        shown = self.service.screen()
        people = {who.id: self.service.direct(who) for who in (self.service.owner, self.service.second)}
        due = {(people[to], text): n for (to, text), n in self.bot.notes().items() if to in people}
        twice = twice_in(shown, {one.id for one in shown} - before, due)
        effects = Counter(self.bot.deployed())
        duplicates = sum(talk.answers_n - 1 for talk in self.talks if talk.answers_n > 1)
        duplicates += sum(n for text, n in twice.items() if not any(says(text, word) for word in COUNTED))
        duplicates += sum(n - 1 for n in effects.values())
        lost = [talk for talk in self.talks if not talk.answers_n and talk.word not in self.doubtful]
        return Record(
            adapter=self.service.name,
            group=group,
            test=test,
            kills=self.journal_n("killed") - killed_n,
            requests=self.journal_n("request") - asked_n,
            duplicates=duplicates,
            lost=len(lost),
            passed=passed,
            details=(*twice, *(talk.word for talk in lost)),
        )
