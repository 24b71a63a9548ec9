"""Rooms: the cases on people's own screens. A case is told once, and runs wherever there is something to see and press.

The engine on its table, the real adapter, and the adapter's fake service on real sockets; or the real terminal, fed by
a pipe. People press native buttons by their labels, fill in native forms, type, and read what is on the screen; what
ran is counted on the tool itself. The engine's clock is turned by hand. The adapter's own pauses are skipped while
nothing else goes on: so nothing is slept for, and nothing is waited for that can be seen to have happened.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cases.rooms.room import Room
from tests.cases.rooms.services import DiscordRoom, SlackRoom, TelegramRoom
from tests.cases.rooms.terminal import ConsoleRoom
from tests.cases.table import PLATFORMS

ROOMS: dict[str, Callable[[], Room]] = {room.name: room for room in (ConsoleRoom, TelegramRoom, DiscordRoom, SlackRoom)}
ON_PLATFORMS = pytest.mark.parametrize("place", PLATFORMS, indirect=True)
"""For what no terminal has: ids of messages, callbacks, several channels, replies."""
