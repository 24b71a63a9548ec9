"""What somebody wants to see of the inbox, what they have seen, and several decided with one word: the pure part."""

from __future__ import annotations

import pytest
from msgspec import structs

from core.model.inquiries import Delivery, DeliveryState, Evidence, InquiryState, Verb, Vote
from core.model.unit import InquiryRow
from core.rules import notes, replies
from core.rules.commands import ApproveAll, Decide, Show, Unclear, parse
from core.rules.decisions import Decision
from core.rules.history import told
from core.rules.inbox import Wanted, listing_of, revision_seen, same_channel, wanted_of
from core.rules.several import Judged, together, unseen
from tests import small
from tests.conformance import store_cases as make

HERE = make.HERE
THREAD = structs.replace(HERE, thread="9")


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("", Wanted()),
        ("mine", Wanted(mine=True)),
        ("Overdue MINE external", Wanted(mine=True, overdue=True, tier="external")),
        ("external external", None),
        ("yours", None),
    ],
)
def test_what_is_wanted(typed: str, wanted: Wanted | None) -> None:
    assert wanted_of(typed) == wanted
    order = parse("inbox", tuple(typed.split()))
    assert order == (Unclear(say=replies.WHICH_INBOX) if wanted is None else Show(what="inbox", subject=typed))


@pytest.mark.parametrize(
    ("typed", "order"),
    [
        ("i-1 i-2", ApproveAll(inquiries=("i-1", "i-2"))),
        ("i-1 i-2 i-1 looks fine", ApproveAll(inquiries=("i-1", "i-2"), text="looks fine")),
        ("i-1 looks fine i-2", Decide(verb=Verb.APPROVE, inquiry="i-1", text="looks fine i-2")),
        ("i-1 i-think so", Decide(verb=Verb.APPROVE, inquiry="i-1", text="i-think so")),
        ("fine i-2", Decide(verb=Verb.APPROVE, text="fine i-2")),
        (" ".join(f"i-{n:x}" for n in range(21)), Unclear(say=replies.TOO_MANY)),
    ],
)
def test_several_ids_are_several_only_at_the_front(typed: str, order: object) -> None:
    assert parse("approve", tuple(typed.split())) == order
    assert parse("approve", tuple(typed.split(" ", 1))) == order, "as a platform types it"


def test_only_approvals_are_given_together() -> None:
    assert parse("deny", ("i-1", "i-2")) == Decide(verb=Verb.DENY, inquiry="i-1", text="i-2")


def row(revision: int = 2, *deliveries: Delivery) -> InquiryRow:
    return InquiryRow(inquiry=make.inquiry(revision=revision), votes=(), deliveries=deliveries, grant=None)


def shown(revision: int, state: DeliveryState = DeliveryState.POSTED, where=HERE) -> Delivery:
    return structs.replace(make.delivery(state=state), revision=revision, conversation=where)


def test_three_ways_to_have_seen_it() -> None:
    assert revision_seen(row(2), HERE, 0, {}) == 0
    assert revision_seen(row(2, shown(1), shown(2)), HERE, 0, {}) == 2
    assert revision_seen(row(2, shown(2, DeliveryState.FINALISED)), THREAD, 0, {}) == 2
    assert revision_seen(row(2, shown(1), shown(2, DeliveryState.PLANNED)), HERE, 0, {}) == 1
    assert revision_seen(row(2, shown(2, DeliveryState.UNKNOWN)), HERE, 0, {}) == 0
    assert revision_seen(row(2, shown(2, where=make.THERE)), HERE, 0, {}) == 0
    assert revision_seen(row(2), HERE, 2, {"i-1": 1}) == 2
    assert revision_seen(row(2), HERE, 0, listing_of((make.inquiry(revision=2),))) == 2
    assert revision_seen(row(2), HERE, 0, {"i-2": 2}) == 0
    assert same_channel(HERE, THREAD)
    assert not same_channel(HERE, make.THERE)


def test_unseen_and_changed_since() -> None:
    inquiry = make.inquiry(revision=2)
    assert [unseen(inquiry, n) for n in (0, 1, 2)] == [notes.UNSEEN, notes.STALE, ""]


def judged(note: str, *, changed: bool = True, name: str = "i-1") -> Judged:
    one = InquiryRow(inquiry=make.inquiry(name), votes=(), deliveries=(), grant=None)
    return Judged(row=one, decision=Decision(inquiry=one.inquiry, note=note, changed=changed))


def test_all_or_nothing() -> None:
    good, counted = judged(notes.APPROVED), judged(notes.COUNTED, name="i-2")
    assert together([good, counted]).write == (good, counted)
    for bad in (
        judged(notes.SEEN, changed=False, name="i-3"),
        judged(notes.STRICTER, name="i-3"),
        judged(notes.ACTION_CHANGED, name="i-3"),
    ):
        found = together([good, bad, counted])
        assert found.write == ()
        assert found.refused == ((bad.inquiry, bad.decision.note),)
    kept = judged(notes.KEPT, name="i-3")
    assert together([good, kept]).refused == ((kept.inquiry, notes.NOT_CHECKED),)


def test_a_first_press_is_made_alone() -> None:
    good, first = judged(notes.APPROVED), judged(notes.CONFIRM, name="i-2")
    assert together([good, first]).write == (first,)
    assert together([judged(notes.CONFIRM, changed=False), good]).refused[0][1] == notes.CONFIRM


def test_a_decision_is_told_with_the_reasons_of_its_voters() -> None:
    inquiry = make.inquiry(
        state=InquiryState.DENIED, question="paint it?", ended=(small.NOW_MS, ("you",), "too\nearly")
    )
    vote = Vote(
        inquiry=inquiry.id,
        revision=1,
        stage=0,
        principal="bob",
        account="a",
        evidence=Evidence.VERIFIED,
        verb=Verb.DENY,
        callback="c",
        at_ms=1,
        reason="not\nnow",
    )
    same = structs.replace(vote, principal="you", reason="too\nearly")
    said = told(inquiry, (vote, same, structs.replace(vote, reason=" ")), small.team(), small.NOW_MS)
    assert said.splitlines() == [
        "08:00 · CEO asks · i-1",
        "  paint it?",
        "  Denied by You at 08:00: too early",
        "  bob: not⏎now",
    ]


def test_an_approval_is_told_with_the_reason_of_whoever_gave_the_last_vote_too() -> None:
    inquiry = make.inquiry(state=InquiryState.APPROVED, question="paint it?", ended=(small.NOW_MS, ("you",), "it fits"))
    vote = Vote(
        inquiry=inquiry.id,
        revision=1,
        stage=0,
        principal="you",
        account="a",
        evidence=Evidence.VERIFIED,
        verb=Verb.APPROVE,
        callback="c",
        at_ms=1,
        reason="it fits",
    )
    said = told(inquiry, (vote,), small.team(), small.NOW_MS)
    assert said.splitlines()[2:] == ["  Approved by You at 08:00", "  You: it fits"]
    bare = structs.replace(inquiry, question="", resolution=None, state=InquiryState.EXPIRED)
    assert len(told(bare, (), small.team(), small.NOW_MS).splitlines()) == 2
