"""The terminal: where people are when they are nowhere else.

Two ways of being one. With a person at it: a prompt below, everything else printed above it, single letters for the
newest card. Without: every line of the input is a message in a thread of its own, and `run` returns at its end.

A printed line cannot be changed, so what replaces a message is printed anew; only the status line, which stands above
the prompt, is replaced in place. And a line that was perhaps not printed may be printed again: `find_sent` never knows.
"""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO, TypedDict, assert_never

from bots.console import wire, words
from core.model.errors import SignoffError, TerminalError
from core.model.events import (
    CommandReceived,
    ControlPressed,
    Conversation,
    Event,
    FormSubmitted,
    MessageReceived,
    Sender,
)
from core.model.ids import short
from core.model.views import DecidedCard, Inbox, InquiryCard, Line, Post, StatusLine
from core.ports import Clock, Ids, Intake, Platform, Sending
from core.rules.text import shorten

if TYPE_CHECKING:
    from bots.console.prompt import Prompt

NAME: Final = "console"
JUST_CAME_MS: Final = 700  # shorter than reading a card takes: a letter typed so soon was meant for an earlier one
ECHO_MAX: Final = 2_000
CHUNK_BYTES: Final = 65_536
LETTERS: Final = frozenset("abdev")  # of no open card: never work for the team
LEAVING: Final = frozenset({"quit", "exit"})


def wants_colour(environ: Mapping[str, str], stdout: TextIO) -> bool:
    """Colour is for terminals, unless NO_COLOR (no-color.org) is there or the terminal is dumb."""
    return stdout.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def is_interactive(stdin: TextIO, stdout: TextIO) -> bool:
    """A person is at both ends."""
    return stdin.isatty() and stdout.isatty()


@dataclass(slots=True)
class _Shown:
    """A card that can still be decided, and when it was printed."""

    card: InquiryCard
    at_ms: int


class _Common(TypedDict):
    key: str
    at_ms: int
    conversation: Conversation
    sender: Sender


class Console(Platform):
    """One for each session; `sender` is who is taken to be typing."""

    def __init__(
        self,
        *,
        team: str,
        sender: Sender,
        clock: Clock,
        ids: Ids,
        zone: str = "UTC",
        interactive: bool,
        colour: bool = False,
        history: Path | None = None,
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
    ) -> None:
        self._team = team
        self._sender = sender
        self._clock = clock
        self._zone = zone
        self._interactive = interactive
        self._colour = colour
        self._history = history
        self._stdin = stdin
        self._stdout = stdout
        self._token = ids.token()
        self._started_at_ms = clock.now_ms()
        self._events_n = 0
        self._prints_n = 0
        self._threads_n = 0
        self._thread = ""
        self._greeted_back = False
        self._cards: dict[str, _Shown] = {}  # by inquiry, the newest last
        self._status: dict[str, StatusLine] = {}  # by slot: what goes on
        self._asking: wire.AskFor | None = None
        self._printing = asyncio.Lock()
        self._prompt: Prompt | None = None

    @property
    def name(self) -> str:
        return NAME

    @property
    def sending(self) -> Sending:
        return Sending.KEYED  # seeing a line twice is better than not at all

    # --- Sending ----------------------------------------------------------------------------------------------------

    async def send(self, post: Post, edits: str, part: int = 0) -> str:
        """Print it. Until it is a receipt, a status line stands above the prompt, or without a prompt nowhere."""
        if isinstance(post.view, StatusLine):
            if not post.view.done:
                self._status[post.slot] = post.view
                self._redraw()
                return self._receipt()
            self._status.pop(post.slot, None)
        lines = list(wire.draw(post.view, self._look()))
        if post.at_ms < self._started_at_ms and not self._greeted_back:
            self._greeted_back = True
            lines = [words.AWAY, *lines]
        if not isinstance(post.view, Inbox):
            lines.append("")
        await self._print(lines)
        self._keep(post)
        return self._receipt()

    async def find_sent(self, post: Post, edits: str, part: int = 0) -> str | None:
        """Never: on a terminal, seeing a line twice is better than not at all."""
        return None

    def _keep(self, post: Post) -> None:
        match post.view:
            case InquiryCard() as card:
                self._cards.pop(card.inquiry, None)
                if card.buttons:
                    self._cards[card.inquiry] = _Shown(card, self._clock.now_ms())
            case DecidedCard() as card:
                self._cards.pop(card.inquiry, None)
            case _:
                pass
        self._redraw()

    def _receipt(self) -> str:
        self._prints_n += 1
        return f"{NAME}:{self._token}:{self._prints_n}"

    def _look(self) -> wire.Look:
        width = shutil.get_terminal_size().columns if self._interactive else 80
        return wire.Look(width=width, colour=self._colour, keys=self._interactive, zone=self._zone)

    async def _print(self, lines: list[str]) -> None:
        """In a thread, because whoever reads a pipe may be slow. Raises TerminalError when nobody reads any more."""
        # While there is a prompt, sys.stdout is not the one from the start, but what prints above the prompt.
        out = sys.stdout if self._interactive or self._stdout is None else self._stdout
        encoding = getattr(out, "encoding", None) or "utf-8"
        text = "".join(f"{line}\n" for line in lines).encode(encoding, "replace").decode(encoding)
        try:
            async with self._printing:
                await asyncio.to_thread(_write, out, text)
        except (OSError, ValueError) as error:
            raise TerminalError("the terminal is gone", "start again") from error

    def _redraw(self) -> None:
        if self._prompt is not None:
            self._prompt.redraw()

    # --- Receiving --------------------------------------------------------------------------------------------------

    async def run(self, intake: Intake) -> None:
        """Until the person leaves, or the input ends."""
        if self._interactive:
            await self._converse(intake)
        else:
            await self._read_lines(intake)

    async def _read_lines(self, intake: Intake) -> None:
        """The blocking reads are in a daemon thread, which nothing waits for: a pipe may stay silent for ever."""
        loop = asyncio.get_running_loop()
        came: asyncio.Queue[bytes] = asyncio.Queue()
        wanted = threading.Semaphore(0)
        stopped = threading.Event()

        def hand_over(chunk: bytes) -> None:
            if not stopped.is_set():
                loop.call_soon_threadsafe(came.put_nowait, chunk)

        source = self._stdin or sys.stdin
        threading.Thread(target=_read_all, args=(source, hand_over, wanted), name="console-reader", daemon=True).start()
        splitter = wire.Splitter()
        try:
            while True:
                wanted.release()
                chunk = await came.get()
                for line in splitter.feed(chunk) if chunk else splitter.end():
                    self._threads_n += 1
                    self._thread = f"line-{self._threads_n}-{self._token}"
                    await self._understand(line, intake)
                if not chunk:
                    return
        finally:
            stopped.set()

    async def _converse(self, intake: Intake) -> None:
        from bots.console.prompt import Prompt  # noqa: PLC0415  # 15 MB that a pipe does not need

        prompt = self._prompt = Prompt(
            question=self._question,
            goes_on=self._goes_on,
            history=self._history,
            colour=self._colour,
        )
        leaving = False
        with prompt.above():
            try:
                await self._print([*wire.draw(Line(text=words.hello(self._team)), self._look()), ""])
                while True:
                    try:
                        text = await prompt.ask()
                    except KeyboardInterrupt:
                        if self._asking is not None:
                            self._asking = None
                            await self._print([words.LEFT_AS_IT_WAS])
                        elif leaving:
                            return
                        else:
                            leaving = True
                            await self._print([words.AGAIN_TO_LEAVE])
                        continue
                    except EOFError:
                        return
                    leaving = False
                    await self._echo(text)
                    if not await self._understand(text, intake):
                        return
            finally:
                self._prompt = None

    def _question(self) -> str:
        return self._asking.question if self._asking else words.PROMPT

    def _goes_on(self) -> list[str]:
        """Status lines; so few that they leave most of a small screen alone."""
        lines = [line for status in self._status.values() for line in wire.draw(status, self._look())]
        return lines[-8:]

    async def _echo(self, text: str) -> None:
        """What was typed, where the prompt was."""
        if text.strip():
            await self._print(list(wire.draw(Line(text=self._question() + shorten(text, ECHO_MAX)), self._look())))

    async def _understand(self, text: str, intake: Intake) -> bool:
        """Act on one typed line. False: the person leaves."""
        if self._asking is not None:
            asking, self._asking = self._asking, None
            await self._submit(asking, text, intake)
            return True
        newest = next(reversed(self._cards.values()), None) if self._interactive else None
        keys = frozenset(button.key for button in newest.card.buttons) if newest else frozenset()
        match wire.read_line(text, keys):
            case wire.Nothing():
                pass
            case wire.TooLong():
                await self._print([words.too_long(wire.TEXT_BYTES_MAX // 1024)])
            case wire.Message(text=message) if self._interactive and message.lower() in LETTERS:
                await self._print([words.NOTHING_TO_DECIDE])
            case wire.Message(text=message):
                await self._accept(intake, MessageReceived(**self._common(), text=message))
            case wire.Command(name=name) if name in LEAVING:
                return False
            case wire.Command(name="new"):
                self._threads_n += 1
                self._thread = f"new-{self._threads_n}-{self._token}"
                await self._print([words.NEW_THREAD])
            case wire.Command(name=name, arguments=arguments):
                await self._accept(intake, CommandReceived(**self._common(), name=name, arguments=arguments))
            case wire.Key(key=key):
                if newest is not None:
                    await self._press(newest, key, intake)
            case typed:
                assert_never(typed)
        return True

    async def _press(self, shown: _Shown, key: str, intake: Intake) -> None:
        card = shown.card
        if len(self._cards) > 1 and self._clock.now_ms() - shown.at_ms < JUST_CAME_MS:
            shown.at_ms -= JUST_CAME_MS
            await self._print([words.just_came(short(card.inquiry), key)])
            return
        button = next(button for button in card.buttons if button.key == key)
        await self._print([words.pressed(button.label, f"{card.title} ({short(card.inquiry)})")])
        match wire.press(button, approve_reason=card.approve_reason):
            case wire.ShowWhole():
                await self._print([*wire.draw_whole(card, self._look()), ""])
            case wire.AskFor() as asking:
                self._asking = asking
            case wire.Press(control=control):
                await self._accept(intake, ControlPressed(**self._common(), control=control))
            case what:
                assert_never(what)

    async def _submit(self, asking: wire.AskFor, text: str, intake: Intake) -> None:
        match wire.read_text(text):
            case wire.TooLong():
                await self._print([words.too_long(wire.TEXT_BYTES_MAX // 1024)])
            case wire.Nothing() if not asking.optional:
                await self._print([words.NEED_TEXT])
            case typed:
                fields = {asking.field: typed.text if isinstance(typed, wire.Message) else ""}
                await self._accept(intake, FormSubmitted(**self._common(), control=asking.control, fields=fields))

    def _common(self) -> _Common:
        self._events_n += 1
        return _Common(
            key=f"{NAME}:{self._token}:{self._events_n}",
            at_ms=self._clock.now_ms(),
            conversation=Conversation(platform=NAME, account=self._team, channel="main", thread=self._thread),
            sender=self._sender,
        )

    async def _accept(self, intake: Intake, event: Event) -> None:
        """What was not committed was not heard, and the person is told so."""
        try:
            await intake.accept(event)
        except SignoffError as error:
            await self._print([words.not_taken(str(error))])


def _write(out: TextIO, text: str) -> None:
    out.write(text)
    out.flush()


def _read_all(source: TextIO, hand_over: Callable[[bytes], None], wanted: threading.Semaphore) -> None:
    """Chunks as they are wanted, an empty one at the end. Unbuffered: a lock held here would abort the exit."""
    try:
        number = source.fileno()
    except (io.UnsupportedOperation, ValueError):
        number = None
    chunk = b"."
    while chunk:
        wanted.acquire()
        try:
            chunk = source.read(CHUNK_BYTES).encode() if number is None else os.read(number, CHUNK_BYTES)
        except OSError:  # the terminal was closed (EIO): the end, said differently
            chunk = b""
        try:
            hand_over(chunk)
        except RuntimeError:  # the event loop has gone, and with it everybody who could want a line
            return
