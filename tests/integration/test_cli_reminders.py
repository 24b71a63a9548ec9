"""`signoff reminders`: what will come, and how it is taken back."""

import asyncio
import shutil

import pytest

from bots.app import House, Workspace
from core.model.events import Conversation
from core.rules.reminders import Reminder
from core.runtime.reminders import StoreReminders
from tests.integration.test_cli import environment, here, ok, refused, rows


@pytest.fixture(scope="module", autouse=True)
def _no_compiled_files_stay():
    yield
    shutil.rmtree(environment()["PYTHONPYCACHEPREFIX"], ignore_errors=True)


@pytest.fixture
def workspace(tmp_path):
    where = tmp_path / "ws"
    ok(tmp_path, "init", str(where))
    return where


def add(where, *texts):
    async def added():
        async with await House.open(Workspace(where), {}) as house:
            kept, now_ms = StoreReminders(house.store, house.clock, house.bus), house.clock.now_ms()
            for n, text in enumerate(texts, 1):
                one = Reminder(
                    id=f"r-{n}0",
                    role="devops",
                    task="t-1",
                    conversation=Conversation(platform="cli", account="a", channel="b"),
                    text=text,
                    set_at_ms=now_ms,
                    due_at_ms=now_ms + n * 3_600_000,
                    untrusted=n == 2,
                )
                assert await kept.add(one) == ""

    asyncio.run(added())


def test_reminders_are_listed_and_taken_back(workspace):
    assert ok(workspace, "reminders").startswith("No reminder is open")
    add(workspace, "look at\nthe page", "look again")
    first, second = ok(workspace, "reminders").splitlines()
    assert first.startswith("r-10  ")
    assert first.endswith("  devops  look at⏎the page")
    assert second.endswith("look again  (from outside)")
    assert [row["text"] for row in rows(workspace, "reminders")] == ["look at\nthe page", "look again"]
    assert set(rows(workspace, "reminders")[0]) == {
        *("id", "role", "task", "conversation", "text", "untrusted", "set_at", "due_at")
    }
    assert ok(workspace, "reminders", "--cancel", "r-1") == "r-10 will not come: look at⏎the page\n"
    assert [row["id"] for row in rows(workspace, "reminders")] == ["r-20"]


def test_only_what_is_there_is_taken_back_by_who_may_ask(workspace):
    add(workspace, "a", "b")
    refused(here(workspace, "reminders", "--cancel", "x"), 1, "there is no reminder x")
    refused(here(workspace, "reminders", "--cancel", "r-"), 1, "there is no reminder r-")
    path = workspace / "agents" / "team.yaml"
    one = "  - {id: you, name: You, role: owner}\n"
    path.write_text(path.read_text().replace(one, one + "  - {id: vic, name: Vic, role: viewer}\n"))
    refused(here(workspace, "reminders", "--cancel", "10", "--as", "vic"), 4, "Vic may only read")
    assert len(rows(workspace, "reminders")) == 2
