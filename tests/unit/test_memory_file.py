"""MEMORY.md out and in again: what a line changed comes to, and what a mistake is told."""

from __future__ import annotations

import pytest

from agents.memory_file import Reader, written
from agents.redaction import Redactor
from core.model.errors import ConfigError
from core.model.memory import EVERYBODY, Layer, Memory, Secrecy, private
from core.model.team import Person

OPS = private("ops")
DAY_MS = 86_400_000
NOW_MS = 20_000 * DAY_MS  # 2024-10-04
ANA = Person(id="ana", name="Ana", role="owner")


def entry(name, text, *, days=1, **more):
    return Memory(id=f"m-{name}", place=OPS, text=text, at_ms=NOW_MS - days * DAY_MS, by="ops", **more)


FOUND = (
    entry("a1", "Never on Fridays", layer=Layer.PRINCIPLE, reason="three outages", days=9),
    entry("b2", "Fridays are bad", layer=Layer.PATTERN),
    entry("c3", "Deploys are on Tuesdays", layer=Layer.KEPT, people=("bo",)),
    entry("d4", "Bo: bo@acme.example", about="bo", secrecy=Secrecy.PERSONAL, people=("bo",), days=2),
    entry("e5", "A <b>page</b>\nsaid --> so", untrusted=True, expires_at_ms=NOW_MS + DAY_MS, days=3),
)
SHOWN = """\
# Memory of ops
<!-- signoff memory private:ops as of 1728000000000. One entry a line. Change a line to replace it, remove it to \
forget it, write one to add it; keep the marks. -->

## Principles
- 2024-09-25 Never on Fridays (why: three outages) <!-- m-a1, by ops -->

## Patterns
- 2024-10-03 Fridays are bad <!-- m-b2, by ops -->

## Facts
- 2024-10-03 Deploys are on Tuesdays <!-- m-c3, by ops -->
- 2024-10-02 Bo: bo@acme.example <!-- m-d4, by ops, about bo -->
- 2024-10-01 A ‹b›page‹/b›⏎said --› so <!-- m-e5, by ops, until 2024-10-05, from outside -->
"""


def read(text, found=FOUND, place=OPS, now_ms=NOW_MS + 5):
    return Reader(place, found, ANA, redact=Redactor(), zone="UTC", now_ms=now_ms).read(text)


def edited(old, new, **more):
    assert old in SHOWN
    return read(SHOWN.replace(old, new, 1), **more)


def test_what_is_remembered_is_written_as_people_know_it():
    assert written(OPS, FOUND, "UTC", NOW_MS) == SHOWN
    assert written(EVERYBODY, (), "UTC", NOW_MS).startswith("# Memory of global\n<!-- signoff memory global: as of ")


def test_given_back_as_it_was_it_changes_nothing():
    assert read(SHOWN) == read(SHOWN.replace("\n", "\r\n"))
    assert (read(SHOWN).kept, read(SHOWN).forgotten) == ((), ())


def test_a_line_changed_replaces_its_entry():
    edit = edited("Deploys are on Tuesdays", "Deploys are on Fridays")
    ((new, old),) = edit.kept
    assert (old, edit.forgotten) == ("m-c3", ())
    assert (new.text, new.by, new.by_person, new.at_ms) == ("Deploys are on Fridays", "ana", True, NOW_MS + 5)
    assert (new.layer, new.people, new.sources) == (Layer.KEPT, ("bo", "ana"), ("m-c3",))


def test_what_people_have_read_and_changed_is_trusted_from_then_on():
    ((new, _),) = edited("A ‹b›page‹/b›⏎said --› so", "The page was wrong").kept
    assert not new.untrusted
    assert new.expires_at_ms == NOW_MS + DAY_MS


def test_what_is_about_a_person_stays_so_and_only_there_ways_to_reach_them_stay():
    ((new, _),) = edited("Bo: bo@acme.example", "Bo: bo@acme.example, Mondays").kept
    assert (new.about, new.secrecy, new.text) == ("bo", Secrecy.PERSONAL, "Bo: bo@acme.example, Mondays")
    edit = edited("Deploys are on Tuesdays", "Ask bo@acme.example, password: hunter22")
    assert edit.kept[0][0].text == "Ask [e-mail address masked], password: [password masked]"
    assert set(edit.masked) == {"password", "e-mail address"}


def test_a_line_removed_forgets_its_entry_and_spares_what_is_newer():
    edit = edited("- 2024-10-03 Fridays are bad <!-- m-b2, by ops -->\n", "")
    assert (edit.kept, edit.forgotten) == ((), ("m-b2",))
    newer = (*FOUND, entry("f6", "Noted meanwhile", days=-1))
    assert edited("- 2024-10-03 Fridays are bad <!-- m-b2, by ops -->\n", "", found=newer).forgotten == ("m-b2",)


def test_new_lines_are_by_who_wrote_them_and_of_their_section():
    text = SHOWN.replace("## Patterns\n", "## Patterns\n- Mondays are good\n* 2024-01-31 January was slow\n")
    text = text.replace("## Principles\n", "## Principles\n- Test first (why: it broke (twice))\n")
    edit = read(text + "- 2999-12-31 From the future\n- 2024-99-99 No such day\n")
    kept = {new.text: new for new, old in edit.kept if not old}
    assert kept["Test first"].reason == "it broke (twice)"
    assert kept["Test first"].layer is Layer.PRINCIPLE
    assert (kept["Mondays are good"].layer, kept["Mondays are good"].at_ms) == (Layer.PATTERN, NOW_MS + 5)
    assert kept["January was slow"].at_ms == 1_706_659_200_000
    assert kept["From the future"].at_ms == NOW_MS + 5
    assert kept["No such day"].at_ms == NOW_MS + 5
    assert all(new.by_person and new.people == ("ana",) for new in kept.values())


def test_a_file_from_elsewhere_only_adds():
    edit = read("# MEMORY\n\n- Deploys need Ana's word\n<!-- mine -->\n## Facts\n- The wiki moved\n")
    assert [(new.text, new.layer) for new, _ in edit.kept] == [
        ("Deploys need Ana's word", Layer.FACT),
        ("The wiki moved", Layer.FACT),
    ]
    assert edit.forgotten == ()


def test_reading_it_again_writes_the_same_rows():
    first = edited("Deploys are on Tuesdays", "Deploys are on Fridays")
    assert (
        edited("Deploys are on Tuesdays", "Deploys are on Fridays", now_ms=NOW_MS + 9).kept[0][0].id
        == first.kept[0][0].id
    )


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        (SHOWN, " \n", 1, "it is empty"),
        ("# Memory", "Memory", 1, "neither an entry nor a heading"),
        ("## Patterns", "## Guesses", 7, "there is no section Guesses"),
        (" (why: three outages)", "", 5, "a principle without its reason"),
        ("2024-10-03 Fridays are bad", "", 8, "an empty entry"),
        ("m-b2", "m-c3", 8, "m-c3 is in another section"),
        ("m-d4", "m-c3", 12, "m-c3 is there twice"),
        ("m-d4", "m-0123", 12, "m-0123 is not in use any more"),
        ("private:ops", "private:dev", 2, "it is the memory of private:dev"),
        ("<!-- signoff memory", "<!-- memory", 2, "the line that says of when it is has gone"),
        ("Deploys are on Tuesdays", "x" * 1001, 11, "longer than 1000 bytes"),
        ("- 2024-10-03 Deploys", "Deploys", 11, "neither an entry nor a heading"),
    ],
)
def test_a_mistake_has_its_line_and_changes_nothing(old, new, line, what):
    with pytest.raises(ConfigError, match=f"MEMORY.md:{line}: {what}") as caught:
        edited(old, new)
    assert caught.value.remedy
