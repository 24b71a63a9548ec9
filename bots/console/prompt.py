"""The prompt, for a terminal with a person at it. Apart from client.py, so that only such a one pays for its import."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.styles import Style


class Prompt:
    """One line of input at the bottom, and below it what goes on."""

    def __init__(
        self, *, message: Callable[[], str], below: Callable[[], list[str]], history: Path | None, colour: bool
    ) -> None:
        self._session: PromptSession[str] = PromptSession(
            message=lambda: ANSI(message()),
            bottom_toolbar=lambda: ANSI("\n".join(lines)) if (lines := below()) else None,
            history=FileHistory(str(history)) if history else InMemoryHistory(),
            color_depth=None if colour else ColorDepth.DEPTH_1_BIT,
            style=Style.from_dict({"bottom-toolbar": "noreverse"}),
        )

    async def ask(self) -> str:
        """The next line; pasted ones may hold line ends. Raises KeyboardInterrupt on Ctrl-C, EOFError on Ctrl-D."""
        return await self._session.prompt_async()

    def redraw(self) -> None:
        """What is below has changed."""
        self._session.app.invalidate()

    def above(self) -> AbstractContextManager[None]:
        """While it lasts, what is written to sys.stdout appears above the prompt."""
        return patch_stdout(raw=True)
