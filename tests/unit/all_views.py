"""Every view at its shortest, usual and longest, for what each platform makes of them."""

import msgspec

from core.model.inquiries import Kind, Label
from core.model.views import Answer, Branch, DecidedCard, Inbox, InboxItem, Line, StatusLine, Trouble
from core.rules import views
from tests.unit.view_samples import DEPLOY, HOUR_MS, MONDAY_MS, NONCE, TEAM, inquiry, question

PROSE = "The landing page is live. It has the new header, and the brochure is linked from it, as the brief asked. " * 4
LONG_WORD = "https://acme.example/" + "a" * 90


def card(some, needs="1 of 2, not you (you asked)"):
    return views.inquiry_card(some, TEAM, (), NONCE, MONDAY_MS - 5 * HOUR_MS, needs=needs)


def acting(arguments, **changes):
    return inquiry(action=msgspec.structs.replace(DEPLOY, arguments=arguments), **changes)


def status(*branches, **changes):
    plain = StatusLine(
        task="t-81c200112233",
        branches=branches,
        steps=4,
        tokens=12_034,
        cost_microusd=60_000,
        started_at_ms=MONDAY_MS,
        at_ms=MONDAY_MS + 31_000,
    )
    return msgspec.structs.replace(plain, **changes)


def item(n, **changes):
    plain = InboxItem(
        inquiry=f"i-{n:012x}",
        title="DevOps asks to run deploy",
        tier="infrastructure",
        age_ms=n * HOUR_MS,
        overdue=False,
        needs="1 of 2",
    )
    return msgspec.structs.replace(plain, **changes)


BRANCH = Branch(roles=("CEO", "CTO", "DevOps"), doing="running checks")
LONG_ARGUMENTS = (
    {"command": "deploy"}
    | {f"argument_{n}": f"value {n} " * 12 for n in range(9)}
    | {"ein Wörtchen 你好": {"deep": [1, "two"]}}
)

VIEWS = {
    "line": (Line(text="heard"), Line(text="waiting on i-7f3a; I read this next", speaker="CEO"), Line(text=PROSE)),
    "status": (
        status(Branch(roles=("CEO",), doing="thinking"), steps=1, tokens=0, cost_microusd=0, at_ms=MONDAY_MS),
        status(BRANCH),
        status(*(BRANCH for _ in range(6)), more=3),
    ),
    "receipt": (
        status(done="failed", roles_n=1),
        status(done="done", roles_n=3, tokens=31_000, cost_microusd=190_000, at_ms=MONDAY_MS + 130_000),
        status(done="somehow", roles_n=12, tokens=10**9, cost_microusd=10**10, at_ms=MONDAY_MS + 10**9),
    ),
    "answer": (
        Answer(task="t-81c200112233", speaker="CEO", text="Yes."),
        Answer(task="t-81c200112233", speaker="CEO", text="The landing page is live.", changed=("site:landing",)),
        Answer(
            task="t-81c200112233",
            speaker="CEO",
            text=f"{PROSE}\n\n  - indented\n  - {LONG_WORD}\n\n你好" + "世界" * 45,
            changed=("site:landing", PROSE),
            risks=("The cache may be old for an hour.",),
            next_needs=("Somebody to write the post.",),
            artifacts=("shared/report.md",),
            degraded="The checks were skipped.",
        ),
    ),
    "approval": (
        card(acting({"command": "deploy"}, why="", decide_by_ms=None), needs=""),
        card(inquiry()),
        card(acting(LONG_ARGUMENTS, why=PROSE, overdue=True)),
    ),
    "single_operator": (
        card(inquiry(label=Label.SINGLE), needs="you, twice"),
        card(inquiry(label=Label.SINGLE, pressed_once=True), needs="you, once more"),
        card(acting(LONG_ARGUMENTS, label=Label.SINGLE), needs="you, twice"),
    ),
    "question": (
        card(question(), needs=""),
        card(question(options=("Spain", "Norway")), needs="one answer"),
        card(question(question=PROSE * 3, options=tuple(f"Option {n}: {'o' * 20}" for n in range(9)))),
    ),
    "reconcile": (
        card(inquiry(kind=Kind.RECONCILE, why="", action=None), needs=""),
        card(inquiry(kind=Kind.RECONCILE)),
        card(acting(LONG_ARGUMENTS, kind=Kind.RECONCILE)),
    ),
    "decided": (
        DecidedCard(inquiry="i-7f3a00112233", title="CEO asks", headline="Withdrawn"),
        DecidedCard(
            inquiry="i-7f3a00112233",
            title="DevOps asks to run deploy",
            headline="Approved by Bo at 14:02",
            outcome="ran in 3.1 s, exit 0",
        ),
        DecidedCard(inquiry="i-7f3a00112233", title="T" * 120, headline=f"Denied by Bo: {PROSE}", outcome=PROSE),
    ),
    "inbox": (
        Inbox(items=()),
        Inbox(items=(item(7, overdue=True), item(2, title="CEO asks", tier="internal", needs=""))),
        Inbox(items=tuple(item(20 - n, tier=("external", "infrastructure")[n % 2], overdue=n < 3) for n in range(12))),
    ),
    "trouble": (
        Trouble(what="no build"),
        Trouble(
            what="The model is overloaded (529).", next_step="Trying again in 40 s, up to 3 times; then I ask you."
        ),
        Trouble(what=PROSE, means=PROSE, next_step=PROSE, remedy=PROSE),
    ),
}
