"""What entries are found by, who may read which, what a task is shown, and which become one."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.ids import TaskId
from core.model.memory import (
    BOARD,
    EVERYBODY,
    ForgetMemories,
    Layer,
    MemoryRule,
    Place,
    PutMemory,
    Scope,
    Secrecy,
    SupersedeMemory,
    memory_of,
    private,
)
from core.model.team import DigestRule
from core.model.unit import AddAudit
from core.model.work import Begun, Brief
from core.rules import keeping, upkeep
from core.rules.remembering import (
    VIEW_BYTES_MAX,
    WORDS_MAX,
    clearance_of,
    deduplicated,
    in_view,
    line_of,
    look_of,
    place_word,
    places_of,
    query_of,
    ranked,
    reads_board,
    same,
    words_of,
)
from core.rules.transcript import begin_text
from tests import small
from tests.conformance.store_cases import memory

TEAM = msgspec.structs.replace(small.team(), teams={"works": ("ops", "dev"), "leads": ("ceo", "cto")})
WORKS = Place(scope=Scope.TEAM, owner="works")
DAY_MS = 86_400_000


def ruled(**rule):
    return msgspec.structs.replace(TEAM, memory=MemoryRule(**rule))


# --- Words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Deploys, on TUESDAYS!", ("deploys", "on", "tuesdays")),
        ("Straße café ﬁle", ("strasse", "cafe", "file")),
        ("run_command v1.2", ("run", "command", "v1", "2")),
        ("東京 is", ("東", "京", "is")),
        ("…", ()),
    ],
)
def test_words(text, words):
    assert words_of(text) == words


@given(st.text(max_size=60))
def test_words_of_words_are_the_same_words(text):
    assert words_of(" ".join(words_of(text))) == words_of(text)


def test_a_query_is_bounded_and_has_each_word_once():
    assert query_of("b a b") == ("b", "a")
    assert len(query_of(" ".join(f"w{n}" for n in range(99)))) == WORDS_MAX


def test_what_has_the_most_of_the_words_comes_first():
    found = (memory("m-1", "one"), memory("m-2", "one two"), memory("m-3", "two"))
    assert [one.id for one in ranked(("one", "two"), found, 2)] == ["m-2", "m-1"]


def test_places_have_words_of_their_own():
    assert place_word(WORKS) != place_word(private("works"))
    assert place_word(WORKS).isalnum()


# --- Who may read what ----------------------------------------------------------------------------------------------


def test_a_role_reads_its_own_its_teams_and_everybodys():
    assert places_of(TEAM, "ops") == (private("ops"), WORKS, EVERYBODY, BOARD)


def test_clearance_is_internal_unless_it_is_said():
    assert clearance_of(TEAM, "ops") == (Secrecy.PUBLIC, Secrecy.INTERNAL)
    team = ruled(clearance={"ops": Secrecy.PERSONAL, "ceo": Secrecy.PUBLIC})
    assert clearance_of(team, "ops") == tuple(Secrecy)
    assert clearance_of(team, "ceo") == (Secrecy.PUBLIC,)


def test_the_board_is_read_by_who_leads_or_who_is_named():
    assert [role for role in TEAM.roles if reads_board(TEAM, role)] == ["ceo", "cto"]
    assert [role for role in TEAM.roles if reads_board(ruled(bulletin=("ops",)), role)] == ["ops"]
    assert BOARD in look_of(TEAM, "ceo", 10).places
    look = look_of(ruled(in_view_max=7), "ops", 8 * DAY_MS)
    assert (BOARD in look.places, look.facts_max, look.board_since_ms) == (False, 7, DAY_MS)


# --- In view --------------------------------------------------------------------------------------------------------


def test_the_weightiest_comes_first_and_then_the_newest():
    found = (
        memory("m-old", "old", at_ms=1),
        memory("m-new", "new", at_ms=3),
        memory("m-kept", "kept", at_ms=2, layer=Layer.KEPT),
        memory("m-note", "note", at_ms=0, place=BOARD),
        memory("m-pattern", "pattern", layer=Layer.PATTERN),
        memory("m-principle", "principle", layer=Layer.PRINCIPLE, reason="it broke"),
        memory("m-bad", "bad", untrusted=True),
    )
    assert in_view(found, "UTC") == (
        "[m-principle] 1970-01-01 (principle) principle (why: it broke)",
        "[m-pattern] 1970-01-01 (pattern) pattern",
        "[m-note] 1970-01-01 (bulletin, dev) note",
        "[m-new] 1970-01-01 new",
        "[m-kept] 1970-01-01 kept",
        "[m-old] 1970-01-01 old",
    )


def test_the_view_is_bounded():
    found = [memory(f"m-{n}", "x" * 900, at_ms=n) for n in range(9)]
    lines = in_view(found, "UTC")
    assert [line[1:4] for line in lines] == ["m-8", "m-7", "m-6", "m-5"]
    assert sum(len(line) + 1 for line in lines) <= VIEW_BYTES_MAX


@given(st.text(max_size=40))
def test_a_line_is_one_and_holds_no_markup(text):
    line = line_of(memory(text=text, reason=text, untrusted=True), "UTC")
    assert not set(line) & set("<>\n\r\u202e\u2028")
    assert "(from outside)" in line


def test_a_task_is_told_before_anything_else():
    begun = Begun(at_ms=1, brief=Brief(objective="do it"), definition="d", asked_by="You", memory=("one", "two"))
    told = begin_text(begun)
    assert told.startswith("<memory>\n")
    assert told.endswith("\none\ntwo\n</memory>\n\ndo it")
    assert begin_text(msgspec.structs.replace(begun, memory=())) == "do it"


# --- Fewer entries --------------------------------------------------------------------------------------------------


def merged(*texts, now_ms=100, **more):
    found = [memory(f"m-{n}", text, at_ms=n, **more) for n, text in enumerate(texts)]
    return [(one.kept.text, one.replaced) for one in deduplicated(found, now_ms)]


def test_the_same_twice_is_kept_once():
    assert merged("Deploys are on Tuesdays.", "deploys  are on TUESDAYS") == [
        ("deploys  are on TUESDAYS", ("m-0", "m-1")),
    ]


def test_nearly_the_same_is_kept_as_the_one_that_says_more():
    long = "The landing page is deployed by the team on Tuesdays in the early morning"
    short = "The landing page is deployed by the team on Tuesdays in the morning"
    assert merged(long, short, "Something else entirely") == [
        (long, ("m-0", "m-1")),
        ("Something else entirely", ("m-2",)),
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("we deploy the page on tuesdays in the morning", "we never deploy the page on tuesdays in the morning"),
        ("we deploy the page on tuesdays at nine", "we deploy the page on tuesdays at nine 30"),
        ("ana comes before bo in the list of people", "bo comes before ana in the list of people"),
        ("ana approves the deploys of the page", "bob approves the deploys of the page"),
        ("it is written in C", "it is written in C++"),
        ("!", "?"),
    ],
)
def test_what_says_something_else_stays_apart(one, other):
    assert len(merged(one, other)) == 2


def test_kept_entries_are_merged_with_what_is_new_and_else_left_alone():
    kept = memory("m-k", "Deploys are on Tuesdays", layer=Layer.KEPT, people=("ana",))
    assert deduplicated([kept], 100) == ()
    (one,) = deduplicated([kept, memory("m-2", "deploys are on tuesdays", at_ms=9, people=("bo",))], 100)
    assert one.replaced == ("m-2", "m-k")
    assert one.kept.id == memory_of("kept", "m-2", "m-k")
    assert (one.kept.layer, one.kept.at_ms, set(one.kept.people)) == (Layer.KEPT, 9, {"ana", "bo"})
    assert one.kept.sources == ("m-2", "m-k")


def test_some_are_left_apart():
    text = "Deploys are on Tuesdays"
    others = (
        memory("m-1", text, untrusted=True),
        memory("m-2", text, expires_at_ms=999),
        memory("m-3", text, layer=Layer.PATTERN),
        memory("m-4", text, superseded_by="m-9"),
    )
    assert deduplicated(others, 100) == ()
    apart = (
        memory("m-1", text),
        memory("m-2", text, place=WORKS),
        memory("m-3", text, secrecy=Secrecy.PERSONAL, about="ana"),
    )
    assert len(deduplicated(apart, 100)) == 3


WORDS = ["alpha", "beta", "gamma", "delta", "not", "7", "no", "epsilon", "zeta", "eta"]
words = st.lists(
    st.sampled_from(WORDS),
    min_size=1,
    max_size=8,
)


@given(st.lists(words, max_size=12))
def test_merging_twice_changes_nothing_and_loses_no_word(texts):
    found = [memory(f"m-{n:02}", " ".join(text), at_ms=n) for n, text in enumerate(texts)]
    first = deduplicated(found, 100)
    assert sorted(old for one in first for old in one.replaced) == [one.id for one in found]
    by_id = {one.id: one for one in found}
    for one in first:
        for old in one.replaced:
            assert same(tuple(one.kept.text.split()), tuple(by_id[old].text.split()))
    assert deduplicated([one.kept for one in first], 100) == ()


def test_a_thousand_entries_are_merged_in_no_time():
    found = [
        memory(f"m-{n}", f"entry number {n % 900} of the list of all things that are known", at_ms=n)
        for n in range(1000)
    ]
    assert len(deduplicated(found, 10_000)) == 900


# --- The record -----------------------------------------------------------------------------------------------------


def test_the_record_never_says_what_was_remembered():
    one = memory("m-2", "Deploys", untrusted=True)
    put, gone, audit = keeping.keep(one, ("m-1",))
    assert (put, gone) == (PutMemory(memory=one), SupersedeMemory(id="m-1", by="m-2"))
    assert isinstance(audit, AddAudit)
    assert "Deploys" not in str(audit)
    assert audit.row.detail["supersedes"] == ["m-1"]
    assert audit.row.detail["untrusted"] is True
    assert [guard.id for guard in keeping.still(("m-1",))] == ["m-1"]
    assert set(keeping.keep(memory())[-1].row.detail) == {"place", "layer", "by", "task"}


def test_reading_ones_own_is_not_on_record():
    assert keeping.read_across((memory(),), "dev", "t-1", "k", 1) == ()
    (row,) = keeping.read_across((memory(), memory("m-2", place=WORKS)), "dev", "t-1", "k", 1)
    assert row.row.detail["entries"] == ["m-2"]


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        (ForgetMemories(person="ana"), "ana"),
        (ForgetMemories(ids=("m-1",)), "m-1"),
        (ForgetMemories(ids=("m-1", "m-2")), "memory"),
    ],
)
def test_forgetting_is_on_record(change, subject):
    did, audit = keeping.forget(change, 3, "you", "cli:root", "k", 1)
    assert did == change
    assert (audit.row.subject, audit.row.principal, audit.row.detail) == (subject, "you", {"n": 3})


# --- Upkeep ---------------------------------------------------------------------------------------------------------

MONDAY_MS = 1_800_241_200_000  # 2027-01-18 03:00 UTC


def test_it_is_due_on_mondays_and_on_the_first():
    assert upkeep.weekly_ms("UTC", MONDAY_MS) == MONDAY_MS
    assert upkeep.weekly_ms("UTC", MONDAY_MS - 1) == MONDAY_MS - 7 * DAY_MS
    assert upkeep.weekly_ms("UTC", MONDAY_MS + 6 * DAY_MS) == MONDAY_MS
    first_ms = 1_798_776_000_000 - 0  # 2027-01-01 04:00 UTC
    assert upkeep.monthly_ms("UTC", MONDAY_MS) == first_ms
    assert upkeep.monthly_ms("UTC", first_ms) == first_ms
    assert upkeep.monthly_ms("UTC", first_ms - 1) == 1_796_097_600_000  # 2026-12-01 04:00 UTC


def test_where_it_is_done_and_told():
    assert upkeep.tended(TEAM)[-2:] == (Place(scope=Scope.TEAM, owner="leads"), EVERYBODY)
    assert upkeep.told_in(TEAM) is None
    inbox = msgspec.structs.replace(TEAM, policy=msgspec.structs.replace(TEAM.policy, inbox=small.PLACE))
    assert upkeep.told_in(inbox) == small.PLACE
    with_digest = msgspec.structs.replace(TEAM, digest=DigestRule(at="09:00", to=small.PLACE))
    assert upkeep.told_in(with_digest) == small.PLACE


def test_patterns_are_asked_for_where_something_may_come_of_it():
    role = msgspec.structs.replace(TEAM.roles["ops"], tools=("remember",))
    facts = [memory(f"m-{n}", f"fact {n}", at_ms=n) for n in range(10)]
    brief = upkeep.patterns_brief(TEAM, role, facts, 9)
    assert brief.count("\n") == 10
    assert "[m-3] 1970-01-01 fact 3" in brief
    assert upkeep.patterns_brief(TEAM, TEAM.roles["ops"], facts, 9) == ""  # it cannot remember
    assert upkeep.patterns_brief(TEAM, role, facts[1:], 9) == ""
    assert upkeep.patterns_brief(TEAM, role, facts, 10) == ""  # nothing new
    unfit = [
        *facts[1:],
        memory("m-u", untrusted=True),
        memory("m-x", expires_at_ms=9),
        memory("m-p", layer=Layer.PATTERN),
    ]
    assert upkeep.patterns_brief(TEAM, role, unfit, 9) == ""
    offline = {name: msgspec.structs.replace(spec, provider="offline") for name, spec in TEAM.models.items()}
    assert upkeep.patterns_brief(msgspec.structs.replace(TEAM, models=offline), role, facts, 9) == ""


def test_people_are_told_how_much_is_new():
    assert upkeep.review([("ceo", 0)]) == ""
    assert upkeep.review([("ceo", 1), ("ops", 0)]).startswith("The team's memory: 1 entry is new or changed (ceo 1).")
    assert "3 entries are new or changed (ceo 1, ops 2)" in upkeep.review([("ceo", 1), ("ops", 2)])


def test_an_id_is_derived():
    assert memory_of("a", TaskId("t-1")) == memory_of("a", "t-1") != memory_of("a", "t-2")
    assert private("ops").key == "private:ops"
