"""Files that people send: fetched after their event is accepted, before it is dealt with, and never in its way.

What is fetched is kept where agents can read it; until then the event stays new, and after a restart it is fetched
again to the same place. A file that cannot be had is named in the request all the same.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from core.model.errors import RetryableError, SignoffError
from core.model.events import Attachment, MessageReceived
from core.rules import words
from core.rules.text import one_line
from core.runtime.context import Context, log

FILE_SECONDS_MAX = 60
TRIES_MAX = 3
REMEMBERED_MAX = 1_000
NAME_MAX = 120


class Files:
    """Fetches, and remembers what became of each event's files."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._wanted: asyncio.Queue[MessageReceived] = asyncio.Queue()
        self._lines: OrderedDict[str, str | None] = OrderedDict()  # by event key; None while it is fetched

    def lines(self, event: MessageReceived) -> str | None:
        """What the request is told of its files, a line each; None: they are being fetched, look again."""
        if not event.files:
            return ""
        if event.key not in self._lines:
            self._lines[event.key] = None
            self._wanted.put_nowait(event)
        return self._lines[event.key]

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                event = await self._wanted.get()
                group.create_task(self._fetch_all(event))

    async def _fetch_all(self, event: MessageReceived) -> None:
        told = [await self._fetch(event, n, file) for n, file in enumerate(event.files)]
        self._lines[event.key] = "\n".join(told)
        while len(self._lines) > REMEMBERED_MAX:
            self._lines.popitem(last=False)
        self._context.bus.notify("events")

    async def _fetch(self, event: MessageReceived, n: int, file: Attachment) -> str:
        name = one_line(file.name, NAME_MAX)
        platform, shelf = self._context.platforms.get(event.conversation.platform), self._context.shelf
        if platform is None or shelf is None:
            return words.file_missing(name, words.NO_SHELF)
        why = ""
        for _ in range(TRIES_MAX):
            try:
                async with asyncio.timeout(FILE_SECONDS_MAX):
                    body = await platform.fetch(file)
                path = await asyncio.to_thread(shelf.keep, file.name, f"{event.key}:{n}", body)
                return words.file_kept(name, path, one_line(file.media, NAME_MAX), len(body))
            except (RetryableError, TimeoutError) as error:
                why = str(error) or words.TOO_SLOW
                await self._context.clock.sleep(1)
            except (SignoffError, OSError) as error:
                why = str(error)
                break
        log.warning("file.not-fetched", key=event.key, why=why)
        return words.file_missing(name, why)
