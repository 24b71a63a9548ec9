"""Views as a terminal shows them, and typed lines as what they mean.

The snapshots are plain text, at 80 columns. Write them anew with SIGNOFF_SNAPSHOTS=write, and read what changed.
"""

import os
import re
from pathlib import Path

import msgspec
import pytest

from bots.console import wire, words
from core.model.inquiries import Label, Verb
from core.model.views import (
    Answer,
    Branch,
    Button,
    DecidedCard,
    Inbox,
    InboxItem,
    Line,
    StatusLine,
    Trouble,
)
from core.rules import views
from tests.unit.view_samples import DEPLOY, HOUR_MS, MONDAY_MS, NONCE, TEAM, inquiry, question

SNAPSHOTS = Path(__file__).parent / "snapshots" / "console"
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
        card(inquiry(kind="reconcile", why="", action=None), needs=""),
        card(inquiry(kind="reconcile")),
        card(acting(LONG_ARGUMENTS, kind="reconcile")),
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
LOOKS = {"plain": wire.Look(), "keys": wire.Look(keys=True), "colour": wire.Look(keys=True, colour=True)}
CASES = [(name, look) for name in VIEWS for look in LOOKS]


def drawn(name, look):
    blocks = []
    for size, view in zip(("shortest", "usual", "longest"), VIEWS[name], strict=True):
        blocks += [f"--- {size}", *wire.draw(view, LOOKS[look]), ""]
    return "\n".join(blocks).replace("\x1b", "␛") + "\n"


@pytest.mark.parametrize(("name", "look"), CASES)
def test_snapshot(name, look):
    kept = SNAPSHOTS / f"{name}.{look}.txt"
    if os.environ.get("SIGNOFF_SNAPSHOTS") == "write":
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(drawn(name, look), "utf-8")
    assert drawn(name, look) == kept.read_text("utf-8")


def test_there_is_no_snapshot_of_nothing():
    assert {path.name for path in SNAPSHOTS.iterdir()} == {f"{name}.{look}.txt" for name, look in CASES}


@pytest.mark.parametrize("width", [5, 20, 40, 80, 200])
@pytest.mark.parametrize("name", VIEWS)
def test_nothing_is_wider_than_the_terminal(name, width):
    for view in VIEWS[name]:
        for line in wire.draw(view, wire.Look(width=width, keys=True)):
            assert wire.cells(line) <= max(width, wire.WIDTH_MIN), line


@pytest.mark.parametrize("name", VIEWS)
def test_colour_adds_nothing_but_colour(name):
    for view in VIEWS[name]:
        coloured = wire.draw(view, LOOKS["colour"])
        assert tuple(re.sub(r"\x1b\[\d*m", "", line) for line in coloured) == wire.draw(view, LOOKS["keys"])


def test_view_all_shows_all():
    some = acting(LONG_ARGUMENTS)
    lines = wire.draw_whole(card(some), wire.Look())
    assert lines[0] == "DevOps asks to run deploy (i-7f3a)"
    text = " ".join(" ".join(lines).split())
    for field in views.whole_of(some):
        assert " ".join(field.shown.split()) in text


def test_a_card_without_buttons_says_nothing_of_deciding():
    shown = msgspec.structs.replace(card(inquiry(why="")), buttons=())
    assert "Approve" not in "".join(wire.draw(shown, wire.Look(keys=True)))


def test_a_hostile_view_moves_no_cursor():
    lines = wire.draw(Answer(task="t-1", speaker="C\x1b[2J", text="a\rb\x1b]0;x\x07\u202e"), wire.Look(colour=True))
    assert "\r" not in "".join(lines)
    assert re.findall(r"\x1b[^m]*m", "".join(lines)) == ["\x1b[1m", "\x1b[0m"]


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 5, [""]),
        ("ab cd", 5, ["ab cd"]),
        ("ab cde", 5, ["ab", "cde"]),
        ("abcdefgh", 5, ["abcde", "fgh"]),
        ("ab cdefghij", 5, ["ab", "cdefg", "hij"]),
        ("a abcdefgh b", 5, ["a", "abcde", "fgh b"]),
        ("  ab\ncd", 5, ["  ab", "cd"]),
        ("你好世界", 5, ["你好", "世界"]),
        ("你", 1, ["你"]),
        ("e\u0301e\u0301", 2, ["e\u0301e\u0301"]),
    ],
)
def test_wrap(text, width, lines):
    assert wire.wrap(text, width) == lines


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("", wire.Nothing()),
        (" \n\x00 ", wire.Nothing()),
        ("deploy the landing page", wire.Message("deploy the landing page")),
        ("two\nlines\x00", wire.Message("two\nlines")),
        ("/inbox", wire.Command("inbox")),
        (" /Approve  i-7f3a ", wire.Command("approve", ("i-7f3a",))),
        ('/edit i-7f3a {"a":  "b  c"}', wire.Command("edit", ("i-7f3a", '{"a":  "b  c"}'))),
        ("/ask one\ntwo  three", wire.Command("ask", ("one", "two  three"))),
        ("/etc/hosts is wrong", wire.Message("/etc/hosts is wrong")),
        ("/ hm", wire.Message("/ hm")),
        ("a", wire.Key("a")),
        ("A", wire.Key("a")),
        ("10", wire.Key("10")),
        ("x", wire.Message("x")),
        ("half \ud800", wire.Message("half ?")),
        ("é" * 131_072, wire.Message("é" * 131_072)),
        ("é" * 131_072 + "e", wire.TooLong()),
    ],
)
def test_what_a_typed_line_means(text, typed):
    assert wire.read_line(text, frozenset({"a", "10"})) == typed


def test_without_a_card_a_letter_is_a_message():
    assert wire.read_line("a") == wire.Message("a")


def test_free_text_is_no_command():
    assert wire.read_text("/no ") == wire.Message("/no")


@pytest.mark.parametrize(
    ("verb", "option", "what"),
    [
        (Verb.APPROVE, None, "press"),
        (Verb.HAPPENED, None, "press"),
        (Verb.ANSWER, 2, "press"),
        (Verb.VIEW, None, wire.ShowWhole()),
        (Verb.ANSWER, None, ("answer", words.QUESTIONS[Verb.ANSWER], False)),
        (Verb.EDIT, None, ("edit", words.QUESTIONS[Verb.EDIT], False)),
        (Verb.ASK_BACK, None, ("text", words.QUESTIONS[Verb.ASK_BACK], False)),
        (Verb.DENY, None, ("reason", words.QUESTIONS[Verb.DENY], True)),
    ],
)
def test_what_a_key_does(verb, option, what):
    control = views.control(NONCE, verb, option)
    if what == "press":
        what = wire.Press(control)
    elif isinstance(what, tuple):
        what = wire.AskFor(control, *what)
    assert wire.press(Button(control=control, label="x")) == what


def test_a_control_we_do_not_know_is_pressed_as_it_is():
    assert wire.press(Button(control="later-release", label="x")) == wire.Press("later-release")


def test_lines_are_cut_from_a_stream_wherever_its_chunks_end():
    splitter = wire.Splitter()
    raw = "eins\nzwölf\r\n\ndrei".encode()
    lines = [line for n in range(len(raw)) for line in splitter.feed(raw[n : n + 1])] + splitter.end()
    assert lines == ["eins", "zwölf\r", "", "drei"]
    assert splitter.end() == []
    assert wire.Splitter().feed(raw) == ["eins", "zwölf\r", ""]


def test_an_endless_line_is_not_kept():
    splitter = wire.Splitter()
    for _ in range(20):
        assert splitter.feed(b"x" * 65_536) == []
    (line,) = splitter.feed(b"\nnext")
    assert wire.read_line(line) == wire.TooLong()
    assert splitter.end() == ["next"]
