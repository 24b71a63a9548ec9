"""What a prepared unit is made of."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, NamedTuple


class Moment(NamedTuple):
    """When, and in which life of the engine, a unit is prepared."""

    now_ms: int
    boot: int


class Step(NamedTuple):
    """A statement. `then` sees the cursor afterwards, may do more, and gives the reason to refuse, "" for none."""

    sql: str
    params: Any
    then: Callable[[sqlite3.Cursor], str] | None = None
