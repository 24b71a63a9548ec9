"""What the conformance suite counts: words are whole, and a note is due once for each event that it answers."""

from __future__ import annotations

from tests.conformance.platforms.stage import says, twice_in
from tests.fakes.service import Place, Shown

DIRECT, ROOM = Place(channel="ana", private=True), Place(channel="room")


def shown(*said: tuple[Place, str]) -> tuple[Shown, ...]:
    return tuple(Shown(id=str(n), place=place, author="bot", text=text) for n, (place, text) in enumerate(said))


def test_words_are_whole() -> None:
    assert says("pong w1", "pong w1")
    assert says("(pong w1).", "pong w1")
    assert not says("pong w10", "pong w1")
    assert not says("ping pong w1", "ong w1")
    assert says("Delivery uncertain: i-1 may not have arrived", "Delivery uncertain")


def test_notes_that_answer_different_events_are_no_duplicates() -> None:
    """The earlier test's note arrived late, or both are of this one."""
    screen = shown((DIRECT, "Denied."), (DIRECT, "Denied."))
    assert twice_in(screen, {"0", "1"}, {(DIRECT, "Denied."): 2}) == {}


def test_a_note_that_was_sent_twice_for_one_event_is_one() -> None:
    screen = shown((DIRECT, "Denied."), (DIRECT, "Denied."), (DIRECT, "Denied."))
    assert twice_in(screen, {"1", "2"}, {(DIRECT, "Denied."): 2}) == {"Denied.": 1}
    assert twice_in(screen, {"2"}, {(DIRECT, "Denied."): 2}) == {"Denied.": 1}
    assert twice_in(screen[:2], {"0", "1"}, {(DIRECT, "Denied."): 1}) == {"Denied.": 1}


def test_what_everybody_sees_is_due_once() -> None:
    screen = shown((ROOM, "Denied."), (ROOM, "Denied."), (DIRECT, "Denied."))
    assert twice_in(screen, {"0", "1", "2"}, {(DIRECT, "Denied."): 2}) == {"Denied.": 1}
    assert twice_in(screen, {"1", "2"}, {}) == {}
