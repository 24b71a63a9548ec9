"""What every fake platform offers a test: people who act, a screen to look at, faults to plan, a journal to believe.

The journal is append-only and is the platform's own view: every request the bot made and every message, edit and file
that took effect. Tests count duplicates and losses in it, never in the bot.
"""

from __future__ import annotations

import asyncio
import fnmatch
import itertools
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Someone:
    """A user of the platform. `id` is the platform's own, without the platform's name."""

    id: str
    name: str
    is_bot: bool = False
    roles: tuple[str, ...] = ()  # "role:<id>", "group:<id>", "admin": as Platform.roles names them


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A channel, group or private chat. `thread` "" is the place itself."""

    channel: str
    thread: str = ""
    private: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A message as people see it now. `text` is what they read, markup rendered away; `native` is what was sent."""

    id: str
    place: Place
    author: str
    text: str
    buttons: tuple[str, ...] = ()  # labels
    files: tuple[tuple[str, bytes], ...] = ()
    edits_n: int = 0
    only_for: str = ""  # an ephemeral message's reader
    native: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """What a person sees at once: whether the press was acknowledged in time, a note, or a form that opened."""

    acknowledged: bool
    note: str = ""
    form: str = ""  # the id to submit it under, "" for none
    inputs: tuple[str, ...] = ()  # labels of the form's inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """One line of the journal. `what`: "request" (the bot asked), "applied" (it took effect), "delivered" (to the bot),
    "acknowledged" (by the bot), "killed", "fault".
    """

    n: int
    what: str
    method: str
    detail: dict[str, Any] = field(default_factory=dict)


class Journal:
    """Append-only."""

    def __init__(self) -> None:
        self._lines: list[Noted] = []

    def note(self, what: str, method: str, **detail: Any) -> Noted:
        line = Noted(n=len(self._lines), what=what, method=method, detail=detail)
        self._lines.append(line)
        return line

    def since(self, n: int) -> tuple[Noted, ...]:
        """What came after the first `n` lines."""
        return tuple(self._lines[n:])

    def lines(self, what: str = "*", method: str = "*") -> tuple[Noted, ...]:
        """By kind and method, both as globs."""
        return tuple(
            line
            for line in self._lines
            if fnmatch.fnmatchcase(line.what, what) and fnmatch.fnmatchcase(line.method, method)
        )


@dataclass(slots=True, kw_only=True)
class Fault:
    """Something that goes wrong with requests of the bot whose method matches. `applied`: the request takes effect
    first (the bot cannot know). Then: `status` answers with that HTTP status and `retry_after` seconds (of the
    conversation, or of everything if `everywhere`); `cut` closes the connection without a word; `garbage` answers with
    what is no JSON; `seconds` waits before anything else; `hook` is awaited (a SIGKILL, usually) after what is applied.
    """

    method: str  # a glob over the fake's own method names, as the journal has them
    times: int = 1
    applied: bool = False
    how: Literal["status", "cut", "garbage", "wait", "none"] = "none"
    status: int = 500
    retry_after: float = 0.0
    everywhere: bool = False
    seconds: float = 0.0
    hook: Callable[[], Awaitable[None]] | None = None


class Faults:
    """Planned, oldest first; each is used up by as many requests as it says."""

    def __init__(self) -> None:
        self._planned: list[Fault] = []

    def plan(self, fault: Fault) -> Fault:
        self._planned.append(fault)
        return fault

    def clear(self) -> None:
        self._planned.clear()

    def take(self, method: str) -> Fault | None:
        """The fault this request meets, if any."""
        for fault in self._planned:
            if fault.times > 0 and fnmatch.fnmatchcase(method, fault.method):
                fault.times -= 1
                return fault
        return None


class Service(ABC):
    """One fake platform. People's acts return at once; what they cause is awaited on the screen (`until`)."""

    name: str
    owner: Someone  # in team.yaml as `you`
    second: Someone  # in team.yaml as `ana`, an approver
    stranger: Someone  # in nobody's team
    home: Place  # a channel or group with all of them and the bot in it
    text_max: int  # what one message may hold, in the platform's own unit

    def __init__(self) -> None:
        self.journal = Journal()
        self.faults = Faults()
        self._numbers = itertools.count(1)

    # --- Life -------------------------------------------------------------------------------------------------------

    @abstractmethod
    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1."""

    @abstractmethod
    async def stop(self) -> None: ...

    @abstractmethod
    def environ(self) -> dict[str, str]:
        """Tokens and base URLs for the bot, by the names in the design."""

    @abstractmethod
    async def connected(self) -> None:
        """Return once the bot receives (it has polled, identified, or opened its socket since the last start)."""

    @abstractmethod
    async def disconnect(self, how: Literal["close", "invalid", "silent", "conflict"]) -> None:
        """Break the bot's connection: close it properly, invalidate the session, keep it open but send nothing for
        ever, or let a second instance take over. What is said meanwhile is kept as the platform keeps it.
        """

    @abstractmethod
    async def reconnectable(self) -> None:
        """End what `disconnect` began, so that a new connection works."""

    # --- People -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def direct(self, who: Someone) -> Place:
        """That person's private chat with the bot."""

    @abstractmethod
    async def say(
        self,
        who: Someone,
        text: str,
        place: Place,
        *,
        mention: bool = False,
        reply_to: str = "",
        files: tuple[tuple[str, str, bytes], ...] = (),
    ) -> str:
        """A person writes; `mention` names the bot natively; files are (name, media type, content). The message id."""

    @abstractmethod
    async def edit(self, who: Someone, message: str, text: str) -> None: ...

    @abstractmethod
    async def order(self, who: Someone, name: str, arguments: str, place: Place) -> Pressed:
        """A native slash command."""

    @abstractmethod
    async def press(self, who: Someone, message: str, label: str, *, place: Place | None = None) -> Pressed:
        """A native button. `place`: pressed on a copy that was forwarded there, where the platform allows such."""

    @abstractmethod
    async def submit(self, who: Someone, form: str, values: tuple[str, ...]) -> Pressed:
        """Fill in the form that a press opened (on Telegram: answer the ForceReply), values in the inputs' order."""

    @abstractmethod
    async def redeliver(self, times: int = 1) -> None:
        """Deliver the last thing that happened again, as the platform does when it doubts the first."""

    @abstractmethod
    async def delete(self, message: str) -> None: ...

    @abstractmethod
    async def remove_bot(self, place: Place) -> None: ...

    # --- What only some tests need; a platform that cannot do it says so ---------------------------------------------

    async def odd(self) -> None:
        """Something of a kind nobody knows happens, then something known with fields missing and unknown ones."""
        raise NotImplementedError

    def expire(self) -> None:
        """Until `reconnectable`, what presses and orders carry for answering (queries, tokens, triggers) is too old."""
        raise NotImplementedError

    async def swapped(self, first: Callable[[], Awaitable[Any]], second: Callable[[], Awaitable[Any]]) -> None:
        """Two acts of people, delivered in the other order."""
        raise NotImplementedError

    def fresh(self) -> Place:
        """A place where nothing was said yet; `home` will do where every message opens a thread of its own."""
        return self.home

    def unacknowledged(self) -> int:
        """How many deliveries of what happened the bot has not acknowledged; 0 where nothing is."""
        return 0

    # --- The screen -------------------------------------------------------------------------------------------------

    @abstractmethod
    def screen(self, place: Place | None = None) -> tuple[Shown, ...]:
        """The bot's messages as they look now, oldest first; everywhere, or of one place and its threads."""

    async def until(
        self, found: Callable[[tuple[Shown, ...]], Any], *, seconds: float = 10.0, place: Place | None = None
    ) -> Any:
        """Wait until something can be found on the screen. Fails with what is there instead."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + seconds
        while not (result := found(self.screen(place))):
            if loop.time() > give_up:
                raise AssertionError("\n---\n".join(f"{s.id} {s.text} {s.buttons}" for s in self.screen(place)))
            await asyncio.sleep(0.01)
        return result
