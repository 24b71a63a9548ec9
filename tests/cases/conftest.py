"""A room for every place that has a screen; a case that takes `room` runs in each of them."""

from __future__ import annotations

import pytest

from tests.cases.rooms import ROOMS
from tests.cases.rooms.terminal import COLUMNS


@pytest.fixture(params=list(ROOMS))
def place(request):
    """The record's word for where a test ran."""
    return request.param


@pytest.fixture
async def room(place, monkeypatch):
    monkeypatch.setenv("COLUMNS", COLUMNS)
    some = ROOMS[place]()
    await some.start()
    yield some
    await some.close()
    await some.stop()
