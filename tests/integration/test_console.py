"""The terminal as a platform: fed by a pipe, and with a person at it."""

import asyncio
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from bots.console import words
from bots.console.client import Console, is_interactive, wants_colour
from core.model.errors import StoreFullError, TerminalError
from core.model.events import CommandReceived, Conversation, MessageReceived, Sender
from core.model.ids import PostId
from core.model.views import Answer, Branch, DecidedCard, Line, Post, StatusLine
from core.rules import views
from tests.unit.view_samples import HERE, MONDAY_MS, NONCE, TEAM, inquiry

ROOT = Path(__file__).parents[2]
ANA = Sender(account="console:ana", asserted="ana")


class Still:
    def now_ms(self):
        return MONDAY_MS


class Token:
    def token(self):
        return "feedfeedfeedfeed"


class Heard:
    """Intake that keeps what it is given; `full` for the next so many."""

    def __init__(self, full=0):
        self.events = []
        self.full = full
        self.first = asyncio.Event()

    async def accept(self, event):
        if self.full:
            self.full -= 1
            raise StoreFullError("the disk is full", "free some space")
        self.events.append(event)
        self.first.set()
        return True


def console(stdin="", stdout=None, **changes):
    plain = {"team": "Acme", "sender": ANA, "clock": Still(), "ids": Token(), "interactive": False}
    source = io.StringIO(stdin) if isinstance(stdin, str) else stdin
    return Console(**{**plain, **changes}, stdin=source, stdout=stdout or io.StringIO())


def post(view, at_ms=MONDAY_MS, slot="s"):
    return Post(id=PostId("p-1"), conversation=HERE, view=view, slot=slot, at_ms=at_ms)


async def printed(*posts):
    out = io.StringIO()
    some = console(stdout=out)
    receipts = [await some.send(each, "") for each in posts]
    assert len(set(receipts)) == len(receipts)
    assert all(receipts)
    return out.getvalue()


# --- Fed by a pipe


async def test_every_line_is_a_message_in_a_thread_of_its_own_and_the_end_is_the_end():
    heard = Heard()
    await console("ship it\n\n \x00\n/approve i-7f3a because so\nlast").run(heard)
    first, second, last = heard.events
    assert first == MessageReceived(
        key="console:feedfeedfeedfeed:1",
        at_ms=MONDAY_MS,
        conversation=Conversation(platform="console", account="Acme", channel="main", thread="line-1-feedfeedfeedfeed"),
        sender=ANA,
        text="ship it",
    )
    assert isinstance(second, CommandReceived)
    assert (second.name, second.arguments) == ("approve", ("i-7f3a", "because so"))
    assert last.text == "last"
    assert len({event.conversation.thread for event in heard.events}) == 3
    assert len({event.key for event in heard.events}) == 3


async def test_a_single_letter_in_a_pipe_is_a_message():
    some, heard = console("a\n"), Heard()
    await some.send(post(views.inquiry_card(inquiry(), TEAM, (), NONCE, MONDAY_MS)), "")
    await some.run(heard)
    assert heard.events[0].text == "a"


async def test_a_message_may_be_large_and_a_larger_one_is_refused_aloud():
    heard, out = Heard(), io.StringIO()
    await console(f"{'x' * 200_000}\n{'y' * 300_000}\nz\n", out).run(heard)
    assert [len(event.text) for event in heard.events] == [200_000, 1]
    assert words.too_long(256) in out.getvalue()


async def test_what_was_not_committed_is_said():
    heard, out = Heard(full=1), io.StringIO()
    await console("one\ntwo\n", out).run(heard)
    assert [event.text for event in heard.events] == ["two"]
    assert "Not taken" in out.getvalue()
    assert "free some space" in out.getvalue()


async def test_a_silent_pipe_does_not_keep_us():
    reading, writing = os.pipe()
    with os.fdopen(reading) as source, os.fdopen(writing, "w") as pipe:
        heard = Heard()
        running = asyncio.ensure_future(console(source).run(heard))
        pipe.write("one\ntw")
        pipe.flush()
        async with asyncio.timeout(5):
            await heard.first.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert [event.text for event in heard.events] == ["one"]


async def test_quit_in_a_pipe_is_only_a_line():
    heard = Heard()
    await console("/quit\nnext\n").run(heard)
    assert [event.text for event in heard.events] == ["next"]


# --- What is printed


async def test_answers_are_printed_disarmed():
    text = await printed(post(Answer(task="t-81c2", speaker="CEO", text="Done.\x1b[2J")))
    assert text == "CEO (agent) · t-81c2\nDone.<U+001B>[2J\n\n"


async def test_status_is_printed_only_when_it_is_a_receipt():
    going = StatusLine(
        task="t-81c2",
        branches=(Branch(roles=("CEO",), doing="thinking"),),
        steps=1,
        tokens=1,
        cost_microusd=1,
        started_at_ms=0,
        at_ms=1_000,
    )
    ended = StatusLine(
        task="t-81c2",
        branches=(),
        steps=1,
        tokens=1,
        cost_microusd=1,
        started_at_ms=0,
        at_ms=1_000,
        done="done",
        roles_n=1,
    )
    assert await printed(post(going)) == ""
    assert await printed(post(going), post(ended)) == "done in 1 s · 1 role · 1 tokens · under $0.01 · t-81c2\n\n"


async def test_what_came_while_nobody_was_there_is_announced_once():
    old, new = post(Line(text="old"), at_ms=MONDAY_MS - 1), post(Line(text="new"))
    assert await printed(old, old, new) == f"{words.AWAY}\nold\n\nold\n\nnew\n\n"
    assert words.AWAY not in await printed(new)


async def test_a_decided_card_is_printed_anew():
    card = views.inquiry_card(inquiry(), TEAM, (), NONCE, MONDAY_MS)
    done = DecidedCard(inquiry=card.inquiry, title=card.title, headline="Approved by Bo at 14:02")
    text = await printed(post(card), post(done))
    assert "/approve i-7f3a" in text
    assert text.endswith("DevOps asks to run deploy (i-7f3a)\nApproved by Bo at 14:02\n\n")


async def test_a_narrow_encoding_replaces_and_a_closed_pipe_is_terminal():
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    some = console(stdout=out)
    await some.send(post(Line(text="Grüße")), "")
    assert out.buffer.getvalue() == b"Gr??e\n\n"
    out.close()
    with pytest.raises(TerminalError):
        await some.send(post(Line(text="x")), "")


async def test_an_unknown_outcome_is_printed_again():
    assert await console().find_sent(post(Line(text="x")), "") is None
    assert console().name == "console"


def test_colour_and_prompts_are_for_terminals():
    class Tty(io.StringIO):
        def isatty(self):
            return True

    assert wants_colour({"TERM": "xterm"}, Tty())
    assert not wants_colour({"NO_COLOR": "1"}, Tty())
    assert not wants_colour({"TERM": "dumb"}, Tty())
    assert not wants_colour({}, io.StringIO())
    assert is_interactive(Tty(), Tty())
    assert not is_interactive(Tty(), io.StringIO())
    assert not is_interactive(io.StringIO(), Tty())


def test_a_pipe_does_not_pay_for_the_prompt():
    code = "import sys, bots.console.client; print({'prompt_toolkit', 'rich'} & set(sys.modules))"
    child = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert child.stdout == "set()\n"


# --- With a person at it


@pytest.fixture
def terminal():
    env = {**os.environ, "PROMPT_TOOLKIT_NO_CPR": "1", "TERM": "xterm"}
    child = pexpect.spawn(
        sys.executable,
        ["-m", "tests.integration.console_harness"],
        cwd=str(ROOT),
        env=env,
        encoding="utf-8",
        dimensions=(40, 100),
        timeout=10,
    )
    child.expect_exact("/help lists commands")
    child.expect_exact("\x1b[?2004h")  # bracketed paste is switched on: from here on the prompt reads the keys
    yield child
    child.close(force=True)


def say(terminal, text, expected):
    terminal.send(text + "\r")
    terminal.expect_exact(expected)


def test_a_message_and_a_command_and_a_new_conversation(terminal):
    say(terminal, "ship it", 'GOT MessageReceived/1 {"text": "ship it"}')
    say(terminal, "/tasks", 'GOT CommandReceived/1 {"name": "tasks", "arguments": []}')
    say(terminal, "/new", "A new conversation")
    say(terminal, "again", 'GOT MessageReceived/1 {"text": "again"} new-1-feedfeedfeedfeed')
    say(terminal, "full", "Not taken")
    say(terminal, "/quit", "LEFT")


def test_letters_decide_the_card(terminal):
    say(terminal, "a", "No card is open")
    say(terminal, "show approval", "[v] View all")
    say(terminal, "v", "(SHA-256)")
    say(terminal, "a", f'GOT ControlPressed/1 {{"control": "{control("a")}"}}')
    say(terminal, "d", "why not?")
    say(
        terminal,
        "on Friday?",
        f'GOT FormSubmitted/1 {{"control": "{control("d")}", "fields": {{"reason": "on Friday?"}}}}',
    )
    say(terminal, "d", "why not?")
    say(terminal, "", f'GOT FormSubmitted/1 {{"control": "{control("d")}", "fields": {{"reason": ""}}}}')
    say(terminal, "e", "as JSON")
    say(terminal, "", "nothing was typed")
    say(terminal, "b", "ask the agent")
    terminal.sendcontrol("c")
    terminal.expect_exact("left as it was")
    say(terminal, "b", "ask the agent")
    say(terminal, "/why", '"fields": {"text": "/why"}')
    say(terminal, "show decided", "Approved by Bo at 14:02")
    say(terminal, "a", "No card is open")


def test_an_approval_that_needs_a_reason_asks_for_it(terminal):
    say(terminal, "show reasoned", "an approval needs a reason")
    say(terminal, "a", "why? (Ctrl-C: go back)")
    say(terminal, "", "nothing was typed")
    say(terminal, "a", "why? (Ctrl-C: go back)")
    approve = control("a", "i-reasoned0000")
    say(
        terminal,
        "it is tested",
        f'GOT FormSubmitted/1 {{"control": "{approve}", "fields": {{"reason": "it is tested"}}}}',
    )


def test_a_question_is_answered_by_number_or_in_words(terminal):
    say(terminal, "show choice", "[2] Norway")
    say(terminal, "2", f'GOT ControlPressed/1 {{"control": "{control("n1", "i-choice000000")}"}}')
    say(terminal, "show question", "[n] Answer")
    terminal.send("n\r")
    if terminal.expect_exact(["your answer", "type n again"]):
        say(terminal, "n", "your answer")
    say(terminal, "Spain", '"fields": {"answer": "Spain"}')


def test_a_letter_typed_at_the_moment_another_card_comes_is_not_taken_for_it(terminal):
    say(terminal, "show approval", "[v] View all")
    terminal.send("show second\ra\r")
    terminal.expect_exact("has only just come in")
    say(terminal, "a", f'GOT ControlPressed/1 {{"control": "{control("a", "i-second000000")}"}}')


def test_what_goes_on_stands_above_the_prompt_until_it_has_ended(terminal):
    say(terminal, "show status", "CEO > DevOps · running checks · 4 steps · 12k tokens · $0.06 · 31 s")
    say(terminal, "more", 'GOT MessageReceived/1 {"text": "more"}')
    terminal.expect_exact("running checks")
    say(terminal, "show receipt", "done in 31 s · 2 roles")
    say(terminal, "show answer", "It is live.<U+001B>[2J")


def test_several_pasted_lines_are_one_message(terminal):
    terminal.send("\x1b[200~one\ntwo\x1b[201~")
    say(terminal, "", 'GOT MessageReceived/1 {"text": "one\\ntwo"}')


def test_ctrl_c_twice_leaves_and_a_line_between_stays(terminal):
    terminal.sendcontrol("c")
    terminal.expect_exact(words.AGAIN_TO_LEAVE)
    say(terminal, "still here", "GOT MessageReceived/1")
    terminal.sendcontrol("c")
    terminal.expect_exact(words.AGAIN_TO_LEAVE)
    terminal.sendcontrol("c")
    terminal.expect_exact("LEFT")
    terminal.expect(pexpect.EOF)


def test_ctrl_d_leaves(terminal):
    terminal.sendcontrol("d")
    terminal.expect_exact("LEFT")
    terminal.expect(pexpect.EOF)


def test_no_colour_is_no_colour(terminal):
    say(terminal, "show answer", "It is live.")
    assert not re.search(r"\x1b\[(?:[^m]*;)?3[0-7]m", terminal.before)


def control(letter, name="i-7f3a00112233"):
    return f"{views.control_nonce('secret', name)}.{letter}"
