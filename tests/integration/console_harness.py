"""A console with a person at it and nobody behind it, for test_console.py: it says what it was given.

A message that starts with `show` makes it print the view of that name; `later` cards are younger than a glance.
"""

import asyncio
import json
import sys
import time

import msgspec

from bots.console.client import Console
from core.model.errors import StoreFullError
from core.model.events import MessageReceived, Sender
from core.model.ids import PostId
from core.model.views import Answer, Branch, DecidedCard, Line, Post, StatusLine
from core.rules import views
from tests.unit.view_samples import HERE, MONDAY_MS, TEAM, inquiry, question


class Now:
    def now_ms(self):
        return int(time.time() * 1000)


class Token:
    def token(self):
        return "feedfeedfeedfeed"


def card(some):
    nonce = views.control_nonce("secret", some.id)
    return views.inquiry_card(some, TEAM, (), nonce, MONDAY_MS, needs="1 of 2")


def status(**changes):
    branch = Branch(roles=("CEO", "DevOps"), doing="running checks")
    plain = StatusLine(
        task="t-81c2", branches=(branch,), steps=4, tokens=12_034, cost_microusd=60_000, started_at_ms=0, at_ms=31_000
    )
    return msgspec.structs.replace(plain, **changes)


VIEWS = {
    "approval": card(inquiry()),
    "reasoned": card(inquiry(id="i-reasoned0000", approve_reason=True)),
    "second": card(inquiry(id="i-second000000", role="marketer")),
    "question": card(question(id="i-question0000")),
    "choice": card(question(id="i-choice000000", options=("Spain", "Norway"))),
    "decided": DecidedCard(
        inquiry="i-7f3a00112233", title="DevOps asks to run deploy", headline="Approved by Bo at 14:02"
    ),
    "status": status(),
    "receipt": status(done="done", roles_n=2),
    "answer": Answer(task="t-81c2", speaker="CEO", text="It is live.\x1b[2J"),
    "line": Line(text="heard"),
}


class Nobody:
    def __init__(self):
        self.console = None

    async def accept(self, event):
        if isinstance(event, MessageReceived) and event.text == "full":
            raise StoreFullError("the disk is full", "free some space")
        said = msgspec.json.decode(msgspec.json.encode(event))
        brief = {name: said[name] for name in ("text", "name", "arguments", "control", "fields") if name in said}
        brief = {name: f"{len(value)} long" if len(value) > 200 else value for name, value in brief.items()}
        print("GOT", said["type"], json.dumps(brief), said["conversation"]["thread"])
        if isinstance(event, MessageReceived) and event.text.startswith("show "):
            view = VIEWS[event.text.removeprefix("show ")]
            slot = "status" if isinstance(view, StatusLine) else event.key
            post = Post(id=PostId(event.key), conversation=HERE, view=view, slot=slot, at_ms=event.at_ms)
            await self.console.send(post, "")
        return True


async def main():
    nobody = Nobody()
    sender = Sender(account="console:ana", asserted="ana")
    console = Console(
        team="Acme", sender=sender, clock=Now(), ids=Token(), interactive=True, colour="colour" in sys.argv[1:]
    )
    nobody.console = console
    await console.run(nobody)
    print("LEFT")


asyncio.run(main())
