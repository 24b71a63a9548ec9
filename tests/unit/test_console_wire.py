"""Views as a terminal shows them, and typed lines as what they mean.

The snapshots are plain text, at 80 columns. Write them anew with SIGNOFF_SNAPSHOTS=write, and read what changed.
"""

import os
import re
from pathlib import Path

import msgspec
import pytest

from bots.console import wire, words
from core.model.inquiries import Verb
from core.model.views import (
    Answer,
    Button,
)
from core.rules import views
from tests.unit.all_views import LONG_ARGUMENTS, VIEWS, acting, card
from tests.unit.view_samples import NONCE, inquiry

SNAPSHOTS = Path(__file__).parent / "snapshots" / "console"
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


def test_an_approval_that_needs_a_reason_asks_for_it():
    control = views.control(NONCE, Verb.APPROVE)
    asked = wire.AskFor(control, "reason", words.QUESTIONS[Verb.APPROVE], optional=False)
    assert wire.press(Button(control=control, label="x"), approve_reason=True) == asked
    assert wire.press(Button(control=views.control(NONCE, Verb.EDIT), label="x"), approve_reason=True) != asked


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
