"""The prompt, for a terminal with a person at it. Apart from client.py, so that only such a one pays for its import."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.patch_stdout import patch_stdout


class Prompt:
    """One line of input at the bottom, and right above it what goes on.

    Not below it: a toolbar needs a terminal that tells where its cursor is, and not every one does.
    """

    def __init__(
        self, *, question: Callable[[], str], goes_on: Callable[[], list[str]], history: Path | None, colour: bool
    ) -> None:
        self._session: PromptSession[str] = PromptSession(
            message=lambda: ANSI("\n".join([*goes_on(), question()])),
            erase_when_done=True,  # else a copy of what went on would stay with every line typed
            history=FileHistory(str(history)) if history else InMemoryHistory(),
            color_depth=None if colour else ColorDepth.DEPTH_1_BIT,
        )

    async def ask(self) -> str:
        """The next line, gone from the screen again; pasted ones may hold line ends.

        Raises KeyboardInterrupt on Ctrl-C, EOFError on Ctrl-D.
        """
        return await self._session.prompt_async(handle_sigint=False)  # signals are the program's; Ctrl-C is a key here

    def redraw(self) -> None:
        """What goes on has changed."""
        self._session.app.invalidate()

    @contextmanager
    def above(self) -> Iterator[None]:
        """While it lasts, what is written to sys.stdout appears above the prompt, and keys wait for the next `ask`."""
        # Raw all the time: between two prompts too, Ctrl-C is a key and what is typed is not echoed into the output.
        with self._session.input.raw_mode(), patch_stdout(raw=True):
            yield
