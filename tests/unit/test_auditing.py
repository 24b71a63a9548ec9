"""What goes on record of an action, and an action told again from the rows alone."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from core.model.inquiries import Action, DeliveryState, InquiryState
from core.model.team import EffectClass
from core.model.unit import Audit, InquiryRow, Sealed
from core.rules.auditing import TEXT_MAX, Actions, cast, moved, proposed, shown, view_digest
from core.rules.canonical import audit_hash
from core.rules.views import inquiry_card
from tests import small
from tests.conformance import store_cases as make

MAIL = Action(
    tool="mail",
    arguments={"to": "all", "token": "hunter22"},
    resource="mail:hunter22",
    verb="send",
    effect=EffectClass.ONCE,
    says="Mails",
    secrets=("token",),
)


def asked(**changes: Any):
    made = make.inquiry(people=(("ada", "bob"), ("cy",)), action=MAIL, digest="v1:d", intent="v1:i", why="for hunter22")
    return structs.replace(made, **changes)


def card_of(inquiry):
    return inquiry_card(inquiry, small.team(), (), "0" * 16, 1, delivery="d-1")


def test_a_proposal_holds_everything_but_secrets() -> None:
    row = proposed(asked())
    assert (row["tool"], row["digest"], row["intent"]) == ("mail", "v1:d", "v1:i")
    assert row["stages"][0] == [{"eligible": ["ada", "bob"], "approve_n": 1}]
    assert "hunter22" not in str(row)
    assert proposed(make.inquiry(question="which?"))["question"] == "which?"


json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), json, max_size=4))
def test_a_proposal_can_always_be_linked(arguments: dict[str, Any]) -> None:
    """What has a digest has a canonical form; so has its row, however deep its arguments are."""
    deep: Any = arguments
    for _ in range(60):
        deep = {"a": deep}
    row = Audit(
        id="x", at_ms=1, what="y", subject="z", detail=proposed(asked(action=structs.replace(MAIL, arguments=deep)))
    )
    assert audit_hash("", 1, row)


def test_long_texts_are_cut_and_the_digest_binds_all_of_them() -> None:
    row = proposed(asked(action=structs.replace(MAIL, arguments={"to": "x" * 9_000})))
    assert len(row["arguments"]) == TEXT_MAX


def test_the_view_is_the_same_everywhere_and_not_after_a_change() -> None:
    one, other = card_of(asked()), card_of(asked(action=structs.replace(MAIL, arguments={"to": "else"})))
    assert view_digest(one) == view_digest(structs.replace(one, delivery="d-2", needs="1 of 1", buttons=()))
    assert view_digest(one) != view_digest(other)


def test_a_showing_names_its_place_and_its_revision() -> None:
    row = InquiryRow(inquiry=asked(revision=2), votes=(), deliveries=(make.delivery(),), grant=None)
    told = shown(structs.replace(card_of(row.inquiry), revision=1), row, "d-1", DeliveryState.POSTED)
    assert (told["place"], told["revision"], told["digest"]) == (make.HERE.key, 1, "")
    assert shown(card_of(row.inquiry), row, "d-9", DeliveryState.FAILED)["place"] == ""
    assert shown(card_of(row.inquiry), row, "d-1", DeliveryState.POSTED)["digest"] == "v1:d"


def test_a_vote_and_a_move() -> None:
    assert cast(make.vote(), "v1:d")["evidence"] == "verified"
    assert "stands_for" not in cast(make.vote(), "")
    assert cast(structs.replace(make.vote(), stands_for=("eve",)), "")["stands_for"] == ["eve"]
    assert moved(asked(), 5) == {"state": "open", "transition": 5, "revision": 1}
    ended = make.inquiry(state=InquiryState.DENIED, ended=(3, ("bob",), "no"))
    assert moved(ended, 8) == {"state": "denied", "transition": 8, "revision": 1, "by": ["bob"], "reason": "no"}
    assert "by" not in moved(structs.replace(ended, resolution=None), 8)


# --- Told again ------------------------------------------------------------------------------------------------------


def chain(*rows: tuple[str, str, dict[str, Any]]) -> list[Sealed]:
    seqs = itertools.count(1)
    return [
        Sealed(
            seq=(n := next(seqs)),
            hash="h",
            previous="",
            row=Audit(
                id=str(n),
                at_ms=n * 10,
                what=what,
                subject=subject,
                principal=detail.pop("principal", ""),
                account=detail.pop("account", ""),
                detail=detail,
            ),
        )
        for what, subject, detail in rows
    ]


def told(*rows: tuple[str, str, dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    actions = Actions()
    for link in chain(*rows):
        actions.add(link)
    assert msgspec.json.encode(actions.told())
    return actions.told()


def test_an_action_from_its_proposal_to_what_ran() -> None:
    effect = "t-1:0:e0"
    (action,) = told(
        ("task.begun", "t-1", {"role": "ops"}),
        ("inquiry.opened", "i-1", proposed(asked())),
        ("inquiry.shown", "i-1", {"place": "slack/T/C/", "view": "v1:v", "digest": "v1:d"}),
        ("inquiry.viewed", "i-1", {"principal": "bob", "account": "slack:U", "revision": 1}),
        ("press.refused", "i-1", {"principal": "mia", "account": "slack:V", "reason": "You may not decide this."}),
        ("inquiry.revised", "i-1", proposed(asked(revision=2, digest="v1:e", label=asked().label))),
        ("vote.cast", "i-1", {"principal": "bob", "account": "slack:U", **cast(make.vote(), "v1:e")}),
        ("grant.minted", "i-1", {"grant": "g-1", "digest": "v1:e"}),
        ("inquiry.moved", "i-1", {"state": "approved", "transition": 7}),
        ("attempt.started", effect, {"grant": "g-1", "digest": "v1:e"}),
        ("attempt.ended", effect, {"output": "o", "failure": ""}),  # as an earlier release wrote it
    )
    assert (action["inquiry"], action["intent"], action["tier"], action["state"]) == (
        "i-1",
        "v1:i",
        "internal",
        "approved",
    )
    assert [one["digest"] for one in action["proposed"]] == ["v1:d", "v1:e"]
    assert [one["place"] for one in action["shown"]] == ["slack/T/C/"]
    assert action["viewed"][0]["principal"] == action["votes"][0]["principal"] == "bob"
    assert action["refused"][0]["reason"] == "You may not decide this."
    assert [one["grant"] for one in action["grants"]] == ["g-1"]
    assert [one["what"] for one in action["ran"]] == ["attempt.started", "attempt.ended"]
    assert (action["first_seq"], action["last_seq"], action["last_at_ms"]) == (2, 11, 110)


def test_what_ran_without_asking_is_an_action_too() -> None:
    (action,) = told(("attempt.ended", "t-1:0:e0", {"tool": "look", "output": "o"}))
    assert action["inquiry"] is None
    assert action["ran"][0]["tool"] == "look"


def test_rows_of_nothing_that_is_an_action_are_left_out() -> None:
    assert told(("press.refused", "slack:V", {"reason": "x"}), ("account.linked", "slack:V", {})) == ()
    (moved_only,) = told(("inquiry.moved", "i-1", {"state": "cancelled"}))
    assert moved_only["state"] == "cancelled"


def test_what_decides_nothing_stands_besides() -> None:
    (action,) = told(("inquiry.opened", "i-1", {}), ("inquiry.snoozed", "i-1", {"principal": "bob", "hours": 2}))
    assert [(one["what"], one["principal"], one["hours"]) for one in action["besides"]] == [
        ("inquiry.snoozed", "bob", 2)
    ]


def test_order_is_that_of_the_chain() -> None:
    found = told(("inquiry.opened", "i-2", {}), ("inquiry.opened", "i-1", {}), ("vote.cast", "i-2", {}))
    assert [one["inquiry"] for one in found] == ["i-2", "i-1"]
