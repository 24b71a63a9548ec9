"""Chat platforms: how much they add to a reply, how they bear a crowd, what they weigh. Each against its fake.

The model is the offline one, which answers at once, for the console too: what differs is the way in and out.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Final

import psutil

from benchmarks.bench import Scale, place, remove
from benchmarks.process import SECONDS_MAX, Running, made
from benchmarks.report import Figure
from tests.conformance.platforms.bot import Bot
from tests.conformance.platforms.model import ModelServer
from tests.conformance.platforms.services import service_of
from tests.fakes.discord import DiscordService
from tests.fakes.service import Place, Service, Someone
from tests.fakes.slack import SlackService
from tests.fakes.telegram import TelegramService

NAMES: Final = ("telegram", "discord", "slack")
ANSWERED: Final = "offline model"
LOOK_SECONDS: Final = 0.001
SETTLE_SECONDS: Final = 1.5
PAUSE_SECONDS: Final = 1.2
"""Between two messages to one chat: Telegram takes one a second."""
SHARE: Final = {"telegram": 40, "discord": 80, "slack": 80}
"""Of the crowd's conversations: within Telegram's 30 messages a second, which the adapter keeps to. They are private
there: a group may be sent 20 a minute, and is asked 15 times in one.
"""
TAIL_SECONDS: Final = 60.0
PONG: Final = re.compile(r"\bpong (w\d+)")


async def measure(scale: Scale) -> AsyncIterator[Figure]:
    """Latency and memory of each alone; then all three at once."""
    console = _console(scale)
    yield Figure(key="console-reply", value=console)
    slowest, heaviest, notes = 0.0, 0.0, []
    for name in NAMES:
        reply, memory = await _alone(name, scale)
        notes.append(f"{name} {reply:.0f} ms, {memory:.0f} MB")
        slowest, heaviest = max(slowest, reply), max(heaviest, memory)
    yield Figure(key="platform-over", value=slowest - console, note="; ".join(notes))
    yield Figure(key="platform-memory", value=heaviest, note="the heaviest of three, connected, before a model call")
    async for figure in _crowd(scale):
        yield figure


def _console(scale: Scale) -> float:
    folder = place("console-reply")
    try:
        with Running(made(folder)) as child:
            child.ready()
            times = []
            for n in range(scale.messages // 2 + 1):
                begun = time.perf_counter()
                child.say(f"hello {n}")
                child.until(ANSWERED)
                times.append((time.perf_counter() - begun) * 1000)
                time.sleep(SETTLE_SECONDS / 3)
            return median(times[1:])
    finally:
        remove(folder)


async def _alone(name: str, scale: Scale) -> tuple[float, float]:
    folder, service = place(f"platform-{name}"), service_of(name)
    await service.start()
    bot = Bot(service, folder, {})
    try:
        await bot.start()
        await asyncio.sleep(SETTLE_SECONDS)
        memory = _memory_mb(bot)
        times = [await _ask(service, service.direct(service.owner), n) for n in range(scale.messages // 2 + 1)]
        return median(times[1:]), memory
    finally:
        await bot.stop()
        await service.stop()
        remove(folder)


async def _ask(service: Service, where: Place, n: int) -> float:
    known = {shown.id for shown in service.screen(where)}
    begun = time.perf_counter()
    await service.say(service.owner, f"hello {n}", where)
    while not any(ANSWERED in shown.text for shown in service.screen(where) if shown.id not in known):
        if time.perf_counter() - begun > SECONDS_MAX:
            raise RuntimeError(f"no answer on {service.name}: {[s.text for s in service.screen(where)][-3:]}")
        await asyncio.sleep(LOOK_SECONDS)
    taken_ms = (time.perf_counter() - begun) * 1000
    await asyncio.sleep(PAUSE_SECONDS)
    return taken_ms


def _memory_mb(bot: Bot) -> float:
    return psutil.Process(bot.pid).memory_info().rss / 1e6


# --- A crowd --------------------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Talk:
    """One conversation: a thread where the platform has such, else a private chat. `said`: words in order, and when."""

    service: Service
    who: Someone
    where: Place
    said: dict[str, float] = field(default_factory=dict)


async def _crowd(scale: Scale) -> AsyncIterator[Figure]:
    """200 conversations, 50 messages a second for a minute."""
    folder = place("crowd")
    services = {name: service_of(name) for name in NAMES}
    for service in services.values():
        await service.start()
    model = ModelServer()
    await model.start()
    environ = {key: value for service in services.values() for key, value in service.environ().items()}
    environ |= model.environ()
    bot = Bot(services["telegram"], folder, environ)
    talks = [talk for name, service in services.items() for talk in _places(service, SHARE[name])]
    _introduce(bot.workspace, talks)
    try:
        await bot.start()
        for service in services.values():
            await service.connected()
        await asyncio.sleep(SETTLE_SECONDS)
        yield Figure(key="platforms-memory", value=_memory_mb(bot), note="all three connected, before a model call")
        async for figure in _load(talks, scale):
            yield figure
    finally:
        await bot.stop()
        await model.stop()
        for service in services.values():
            await service.stop()
        remove(folder)


def _introduce(workspace: Path, talks: list[Talk]) -> None:
    """All of these accounts are the owner's."""
    manifest = workspace / "agents" / "team.yaml"
    text = manifest.read_text("utf-8")
    accounts = ", ".join(dict.fromkeys(f'"{talk.service.name}:{talk.who.id}"' for talk in talks))
    one = f'"telegram:{TelegramService.owner.id}"'
    manifest.write_text(text.replace(f"accounts: [{one}]", f"accounts: [{accounts}]", 1), "utf-8")


def _places(service: Service, n: int) -> list[Talk]:
    match service:
        case TelegramService():
            people = [service.visitor() for _ in range(n)]
            return [Talk(service=service, who=one, where=service.direct(one)) for one in people]
        case DiscordService() | SlackService():
            rooms = [service.channel(f"crowd-{i}") for i in range(n)]
            return [Talk(service=service, who=service.owner, where=room) for room in rooms]
        case _:
            raise TypeError(service.name)


async def _load(talks: list[Talk], scale: Scale) -> AsyncIterator[Figure]:
    """Everybody in turn, so that each waits for one answer before the next."""
    hearing = _Hearing(talks)
    listener = asyncio.ensure_future(hearing.listen())
    begun, said_n = time.perf_counter(), int(scale.crowd_seconds * scale.crowd_rate)
    for n, talk in zip(range(said_n), itertools.cycle(talks), strict=False):
        word = f"w{n}"
        message = await talk.service.say(talk.who, f"ping {word}", talk.where, mention=not talk.where.private)
        talk.said[word] = time.perf_counter()
        if not isinstance(talk.service, TelegramService) and not talk.where.thread:
            talk.where = Place(channel=talk.where.channel, thread=message.rpartition(":")[2])
        await asyncio.sleep(max(0.0, begun + (n + 1) / scale.crowd_rate - time.perf_counter()))
    await hearing.all_of(said_n)
    listener.cancel()
    yield Figure(key="crowd-lost", value=said_n - len(hearing.taken), note=f"of {said_n}, {len(talks)} conversations")
    yield Figure(key="crowd-order", value=sum(not hearing.in_order(talk) for talk in talks))
    times = list(hearing.taken.values())
    p99 = _p99(times)
    each = "; ".join(
        f"{name} {median(some):.0f} and {_p99(some):.0f}"
        for name in NAMES
        if len(
            some := [hearing.taken[w] for t in talks if t.service.name == name for w in t.said if w in hearing.taken]
        )
        > 1
    )
    note = f"median {median(times):.0f} ms, p99 {p99:.0f} ms ({each}), all three on the same two cores as the bot"
    yield Figure(key="crowd-tail", value=p99 / median(times), note=note)


def _p99(times: list[float]) -> float:
    return quantiles(times, n=100)[98]


class _Hearing:
    """When each word was answered, by the services' journals."""

    def __init__(self, talks: list[Talk]) -> None:
        self._talks = talks
        self._read = {talk.service.name: (talk.service, 0) for talk in talks}
        self.taken: dict[str, float] = {}

    async def listen(self) -> None:
        while True:
            for name, (service, n) in self._read.items():
                news = service.journal.since(n)
                self._read[name] = (service, n + len(news))
                for line in news:
                    if line.what == "applied":
                        self._hear(str(line.detail.get("text", "")))
            await asyncio.sleep(LOOK_SECONDS)

    async def all_of(self, said_n: int) -> None:
        """Until everything was answered, or the time is up."""
        end = time.perf_counter() + TAIL_SECONDS
        while len(self.taken) < said_n and time.perf_counter() < end:  # noqa: ASYNC110  journals have no event
            await asyncio.sleep(LOOK_SECONDS)

    def _hear(self, text: str) -> None:
        now = time.perf_counter()
        for word in PONG.findall(text):
            asked = next((talk.said[word] for talk in self._talks if word in talk.said), None)
            if asked is not None:
                self.taken.setdefault(word, (now - asked) * 1000)

    def in_order(self, talk: Talk) -> bool:
        """Answered in the order in which it was asked."""
        heard = [word for word in self.taken if word in talk.said]
        return heard == [word for word in talk.said if word in self.taken]
