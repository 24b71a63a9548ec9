"""The inbox, several decided at once, past decisions, the daily digest: as people meet them."""

from __future__ import annotations

import re

import msgspec
import pytest

from core.adapters.models.scripted import use
from core.model.events import CommandReceived, ControlPressed
from core.model.ids import short
from core.model.inquiries import InquiryState
from core.model.team import Absence, DigestRule, StageRule, Tier, TierRule, Triggers
from core.model.unit import Pause, PutInquiry, SetMeta, Unit
from core.model.views import Inbox, Line
from core.ports import Health
from core.rules import notes, replies
from core.rules.policy import DEFAULT_TIERS
from core.runtime import digests
from tests.engine_kit import BOB, CAROL, DESK, MAIN, MIA, SIDE, YOU, Table, changed_role, company

MAILING = {"ops": [use("mail", to=f"{n}@x") for n in range(40)]}
TEAM = company(YOU, BOB, CAROL, MIA)


async def waiting(n: int = 2, team=TEAM, by: str = "mia", **script) -> Table:
    """So many mails that wait, one from each of as many requests."""
    table = Table(script or MAILING, team=team)
    for at in range(n):
        await table.say(f"mail {at}", by, role="ops", at=msgspec.structs.replace(MAIN, thread=str(at)))
        table.turn_clock(seconds=1)
    return table


async def ids(table: Table) -> list[str]:
    return [one.id for one in await table.inquiries()]


def inbox_of(table: Table) -> Inbox:
    return [post.view for post in table.chat.sent if isinstance(post.view, Inbox)][-1]


def said_below(table: Table) -> str:
    last = table.posts[-1].view
    return last.text if isinstance(last, Line) else ""


# --- The inbox -------------------------------------------------------------------------------------------------------


async def test_the_oldest_come_first_and_the_rest_is_counted() -> None:
    table = await waiting(13)
    await table.order("/inbox", "bob")
    shown = inbox_of(table).items
    assert [item.inquiry for item in shown] == (await ids(table))[:10]
    assert all(item.buttons for item in shown)
    assert said_below(table).startswith("And 3 more.")


async def test_a_part_of_it_can_be_asked_for() -> None:
    table = await waiting(2)
    table.turn_clock(hours=25)
    await table.settle()
    await table.say("and this", "mia", role="ops", at=msgspec.structs.replace(MAIN, thread="late"))
    first, second, third = await ids(table)
    await table.order("/inbox overdue", "bob")
    assert [item.inquiry for item in inbox_of(table).items] == [first, second]
    await table.order("/inbox external overdue", "bob")
    assert len(inbox_of(table).items) == 2
    await table.order("/inbox infrastructure", "bob")
    assert inbox_of(table).items == ()
    await table.order("/inbox mine", "mia")
    assert inbox_of(table).items == ()
    await table.order("/inbox mine", "bob")
    assert [item.inquiry for item in inbox_of(table).items] == [first, second, third]
    assert await table.order("/inbox yours", "bob") == replies.WHICH_INBOX


async def test_mine_is_what_i_have_not_voted_on() -> None:
    tiers = {**DEFAULT_TIERS, Tier.EXTERNAL.value: TierRule(stages=(StageRule(approve_n=2),))}
    table = await waiting(1, msgspec.structs.replace(TEAM, policy=msgspec.structs.replace(TEAM.policy, tiers=tiers)))
    (inquiry,) = await ids(table)
    await table.order(f"/approve {inquiry}", "bob")
    for by, left in (("bob", 0), ("carol", 1)):
        await table.order("/inbox mine", by)
        assert len(inbox_of(table).items) == left


async def test_who_stands_in_for_somebody_away_is_named_in_the_inbox() -> None:
    rule = TierRule(stages=(StageRule(people=("bob",)),))
    tiers = {**DEFAULT_TIERS, Tier.EXTERNAL.value: rule}
    team = msgspec.structs.replace(TEAM, policy=msgspec.structs.replace(TEAM.policy, tiers=tiers))
    table = await waiting(1, team)
    await table.order("/inbox", "bob")
    assert "for Bob" not in inbox_of(table).items[0].needs
    fact = Absence(person="bob", until_ms=10**15, delegate="carol")
    kept = SetMeta(name="away:bob", value=msgspec.json.encode(fact).decode())
    await table.store.commit(Unit(changes=(kept,)))
    await table.order("/inbox", "bob")
    assert "Carol (for Bob)" not in inbox_of(table).items[0].needs  # the policy names Bob alone
    every = {**DEFAULT_TIERS, Tier.EXTERNAL.value: TierRule(stages=(StageRule(people=("bob", "carol")),))}
    table.teams.team = msgspec.structs.replace(team, policy=msgspec.structs.replace(team.policy, tiers=every))
    await table.order("/inbox", "bob")
    assert "Bob or Carol (for Bob)" in inbox_of(table).items[0].needs
    await table.order("/inbox mine", "carol")  # what she may decide in his place is hers, too, and once
    assert len(inbox_of(table).items) == 1
    await table.order("/inbox mine overdue", "carol")
    assert inbox_of(table).items == ()
    await table.order(f"/approve {(await ids(table))[0]}", "carol")
    assert table.decided[-1].headline.startswith("Approved by Carol (for Bob) at ")


async def test_what_i_may_decide_myself_is_mine_once_and_what_i_have_voted_on_is_not() -> None:
    tiers = {**DEFAULT_TIERS, Tier.EXTERNAL.value: TierRule(stages=(StageRule(approve_n=2),))}
    table = await waiting(1, msgspec.structs.replace(TEAM, policy=msgspec.structs.replace(TEAM.policy, tiers=tiers)))
    fact = Absence(person="bob", until_ms=10**15, delegate="carol")
    await table.store.commit(Unit(changes=(SetMeta(name="away:bob", value=msgspec.json.encode(fact).decode()),)))
    for left in (1, 0):
        await table.order("/inbox mine", "carol")
        assert len(inbox_of(table).items) == left
        await table.order(f"/approve {(await ids(table))[0]}", "carol")


async def test_conversations_that_are_with_a_person_are_told_of() -> None:
    team = changed_role(TEAM, "ops", triggers=Triggers(words=("lawsuit",)))
    table = await waiting(0, team)
    await table.say("there is a lawsuit", "mia", at=SIDE, role="ops")
    table.turn_clock(hours=2)
    await table.order("/inbox", "bob")
    assert said_below(table) == replies.waits_for_handback((("chat/acme/side", "2 h", "it is about lawsuit"),), 0)
    await table.order("/inbox overdue", "bob")
    assert said_below(table) == ""
    await table.order("/handback", "bob", at=SIDE)
    await table.order("/inbox mine", "bob")
    assert said_below(table) == ""
    for n in range(7):
        await table.say("another lawsuit", "mia", at=msgspec.structs.replace(SIDE, thread=str(n)), role="ops")
    await table.order("/inbox", "bob")
    assert "and 2 more\n/handback there" in said_below(table)


# --- Several at once -------------------------------------------------------------------------------------------------


async def test_several_are_approved_with_one_word_where_their_cards_stand() -> None:
    table = await waiting(3)
    first, second, third = await ids(table)
    said = await table.order(f"/approve {first} {short(second)} {third} all fine", "bob")
    assert said.splitlines() == [f"{short(one)}: {notes.APPROVED}" for one in (first, second, third)]
    assert len(table.tools["mail"].ran) == 3
    rows = [await table.store.read.inquiry(one) for one in (first, second, third)]
    assert {(v.principal, v.reason) for row in rows if row for v in row.votes} == {("bob", "all fine")}


async def test_case_35_one_that_was_not_seen_refuses_all_and_is_named() -> None:
    table = await waiting(2)
    first, second = await ids(table)
    said = await table.order(f"/approve {first} {second}", "bob", at=DESK)
    assert said.splitlines()[1:] == [f"{short(one)}: {notes.UNSEEN}" for one in (first, second)]
    await table.order(f"/view {first}", "bob", at=DESK)
    said = await table.order(f"/approve {first} {second}", "bob", at=DESK)
    assert said.splitlines()[1:] == [f"{short(second)}: {notes.UNSEEN}"]
    assert not table.tools["mail"].ran
    await table.order(f"/view {second}", "carol", at=DESK)  # somebody else's look is not mine
    assert notes.UNSEEN in await table.order(f"/approve {first} {second}", "bob", at=DESK)
    await table.order("/inbox", "bob", at=DESK)
    assert notes.UNSEEN not in await table.order(f"/approve {first} {second}", "bob", at=DESK)
    assert len(table.tools["mail"].ran) == 2


async def test_only_the_last_inbox_counts() -> None:
    table = await waiting(2)
    first, second = await ids(table)
    await table.order("/inbox", "bob", at=DESK)
    await table.order("/inbox infrastructure", "bob", at=DESK)
    assert notes.UNSEEN in await table.order(f"/approve {first} {second}", "bob", at=DESK)


@pytest.mark.parametrize("how", ["inbox", "view"])
async def test_case_34_one_that_was_changed_since_refuses_all(how: str) -> None:
    table = await waiting(2)
    first, second = await ids(table)
    for one in (first, second):
        await table.order("/inbox" if how == "inbox" else f"/view {one}", "bob", at=DESK)
    await table.order(f'/edit {second} {{"to":"else@x"}}', "carol")
    said = await table.order(f"/approve {first} {second}", "bob", at=DESK)
    assert said.splitlines()[1:] == [f"{short(second)}: {notes.STALE}"]
    assert not table.tools["mail"].ran
    refused = [row for row in await audit(table) if row.what == "press.refused"]
    assert {(row.subject, row.principal, row.detail["reason"]) for row in refused} == {
        (first, "bob", notes.WITH_OTHERS),
        (second, "bob", notes.STALE),
    }


async def test_one_that_is_over_refuses_all() -> None:
    table = await waiting(2)
    first, second = await ids(table)
    await table.order(f"/deny {second} no", "carol")
    said = await table.order(f"/approve {first} {second}", "bob")
    assert "Already denied by Carol." in said
    assert not table.tools["mail"].ran
    assert "There is no inquiry i-999" in await table.order(f"/approve {first} i-999", "bob")


async def test_a_single_operator_presses_twice_for_each() -> None:
    table = await waiting(2, company(), "you")
    first, second = await ids(table)
    said = await table.order(f"/approve {first} {second}")
    assert said.splitlines() == [f"{short(one)}: {notes.CONFIRM}" for one in (first, second)]
    assert not table.tools["mail"].ran
    table.turn_clock(seconds=1)
    said = await table.order(f"/approve {first} {second}")
    assert said.splitlines() == [f"{short(one)}: {notes.APPROVED}" for one in (first, second)]
    assert len(table.tools["mail"].ran) == 2


async def test_what_needs_a_second_press_holds_up_what_does_not() -> None:
    """All or nothing: the first word is only the first press of those that need two."""
    table = await waiting(2, company(), "you")
    first, second = await ids(table)
    assert await table.order(f"/approve {first}") == notes.CONFIRM
    table.turn_clock(seconds=1)
    said = await table.order(f"/approve {first} {second}")
    assert said == f"{short(second)}: {notes.CONFIRM}"
    assert not table.tools["mail"].ran
    table.turn_clock(seconds=1)
    await table.order(f"/approve {first} {second}")
    assert len(table.tools["mail"].ran) == 2


async def test_somebody_faster_changes_what_is_judged() -> None:
    table = await waiting(2)
    first, second = await ids(table)

    async def deny_meanwhile(unit: Unit) -> bool:
        if not any("vote.cast" in str(change) for change in unit.changes):
            return False
        row = await table.store.read.inquiry(second)
        assert row is not None
        other = msgspec.structs.replace(row.inquiry, version=row.inquiry.version + 1, state=InquiryState.CANCELLED)
        await table.store.inner.commit(Unit(changes=(PutInquiry(inquiry=other),)))
        return True

    table.store.meanwhile = deny_meanwhile
    said = await table.order(f"/approve {first} {second}", "bob")
    assert said.splitlines()[1:] == [f"{short(second)}: Too late: it was withdrawn."]
    assert not table.tools["mail"].ran


async def test_a_standing_nobody_can_tell_refuses_all() -> None:
    """A kept vote is not an approval, and half of several is not all of them."""
    team = msgspec.structs.replace(TEAM, platform_roles={"chat": {"owner": (), "approver": ("admin",)}})
    table = await waiting(2, team)
    first, second = await ids(table)
    assert notes.NOT_CHECKED in await table.order(f"/approve {first} {second}", "bob")
    table.context.roles_held.clear()
    table.chat.held["chat:bob"] = frozenset({"admin"})
    await table.order(f"/approve {first} {second}", "bob")
    assert len(table.tools["mail"].ran) == 2


async def test_the_same_word_again_is_dealt_with_once() -> None:
    table = await waiting(2)
    first, second = await ids(table)
    key = await table.happens(CommandReceived, "bob", name="approve", arguments=(first, second))
    await table.settle()
    await table.crash()
    await table.settle()
    assert len(table.tools["mail"].ran) == 2
    assert table.answered(key).count(notes.APPROVED) == 2


# --- The record ------------------------------------------------------------------------------------------------------


async def audit(table: Table):
    return [sealed.row for sealed in await table.store.read.chain(limit=10_000)]


async def test_every_showing_vote_and_refusal_is_on_record() -> None:
    table = await waiting(1)
    (inquiry,) = await ids(table)
    card = table.button("approve")
    await table.order(f"/view {inquiry}", "carol")
    await table.control(card, "mia")
    await table.control(card, "eve")
    await table.control(card, "bob", at=DESK)
    await table.control("0" * 16 + ".a", "bob")
    await table.control(card, "bob")
    await table.control(card, "carol")
    rows = [row for row in await audit(table) if not row.subject.startswith("i-") or row.subject == inquiry]
    found = {what: [row for row in rows if row.what == what] for what in {row.what for row in rows}}
    (opened,), (shown,) = found["inquiry.opened"], found["inquiry.shown"]
    assert opened.detail["tool"] == "mail"
    assert opened.detail["arguments"] == '{"to":"0@x"}'
    assert shown.detail["place"] == "chat/acme/main/0"
    assert shown.detail["digest"] == opened.detail["digest"]
    assert shown.detail["view"].startswith("v1:")
    (viewed,), (cast,) = found["inquiry.viewed"], found["vote.cast"]
    assert (viewed.principal, viewed.detail["revision"]) == ("carol", 1)
    assert (cast.principal, cast.account, cast.detail["evidence"]) == ("bob", "chat:bob", "verified")
    refused = [(row.principal, row.account, row.detail["reason"]) for row in found["press.refused"]]
    assert refused == [
        ("mia", "chat:mia", notes.NOT_YOUR_OWN),
        ("", "chat:eve", notes.UNKNOWN_PERSON),
        ("bob", "desk:bob", replies.UNKNOWN_BUTTON),
        ("bob", "chat:bob", replies.UNKNOWN_BUTTON),
        ("carol", "chat:carol", "Already approved by Bob."),
    ]
    (minted,), (started,), (ended,) = found["grant.minted"], found["attempt.started"], found["attempt.ended"]
    assert minted.detail["grant"] == started.detail["grant"] == ended.detail["grant"]
    assert started.detail["inquiry"] == inquiry
    assert minted.detail["digest"] == started.detail["digest"] == ended.detail["digest"] == opened.detail["digest"]


async def test_a_revision_is_a_proposal_of_its_own() -> None:
    table = await waiting(1)
    (inquiry,) = await ids(table)
    await table.order(f'/edit {inquiry} {{"to":"else@x"}}', "carol")
    (revised,) = [row for row in await audit(table) if row.what == "inquiry.revised"]
    assert (revised.principal, revised.detail["revision"]) == ("carol", 2)
    assert revised.detail["arguments"] == '{"to":"else@x"}'
    shown = [row.detail["revision"] for row in await audit(table) if row.what == "inquiry.shown"]
    assert shown == [1, 2]


# --- Decisions, and the day ------------------------------------------------------------------------------------------


async def test_what_was_decided_can_be_looked_up() -> None:
    table = await waiting(2)
    first, second = await ids(table)
    await table.order(f"/deny {first} the list is old", "bob")
    await table.order(f"/approve {second}", "carol")
    said = await table.order("/decisions", "mia")
    assert said.index(short(second)) < said.index(short(first))
    assert "Approved by Carol at" in said
    said = await table.order("/decisions LIST mail", "mia")
    assert short(second) not in said
    assert re.search(r"Denied by Bob at .{1,12}: the list is old", said)
    assert await table.order("/decisions nothing of the kind", "mia") == replies.NOTHING_DECIDED
    assert await (await waiting(0)).order("/decisions", "mia") == replies.NO_DECISIONS


def digesting(at: str = "09:00", **changes):
    return msgspec.structs.replace(TEAM, digest=DigestRule(at=at, to=SIDE), **changes)


async def told(table: Table) -> list[str]:
    await table.engine.digests.sweep()
    await table.settle()
    return [post.view.text for post in table.posts if post.conversation == SIDE and isinstance(post.view, Line)]


async def test_the_day_is_told_once_at_its_hour_and_after_a_week_once() -> None:
    table = Table(MAILING, team=digesting())
    assert await told(table) == []
    table.clock.at_ms += 86_400_000 - table.clock.at_ms % 86_400_000 + 9 * 3_600_000
    (first,) = await told(table)
    assert "Done: nothing" in first
    table.engine = type(table.engine)(table.context)
    assert len(await told(table)) == 1
    table.turn_clock(hours=24 * 7)
    assert len(await told(table)) == 2
    table.turn_clock(hours=-5)
    assert len(await told(table)) == 2


async def test_a_death_before_its_note_tells_nothing_twice() -> None:
    table = Table(MAILING, team=digesting())
    await told(table)
    table.turn_clock(hours=24)
    kept = await table.store.read.meta(digests.FACT)
    assert len(await told(table)) == 1
    await table.store.inner.commit(Unit(changes=(SetMeta(name=digests.FACT, value=kept or ""),)))
    assert len(await told(table)) == 1


async def test_without_a_digest_nothing_is_kept_and_another_hour_counts_from_now() -> None:
    table = Table(MAILING, team=TEAM)
    assert await told(table) == []
    assert await table.store.read.meta(digests.FACT) is None
    table.teams.team = digesting("08:00")
    await told(table)
    table.turn_clock(hours=23)
    table.teams.team = digesting("10:00")
    assert await told(table) == []


async def test_the_day_tells_what_was_done_what_waits_what_failed_and_what_was_unusual() -> None:
    script = {"dev": [use("hand_off", summary="done")], "ops": [use("mail", to="a@x")]}
    table = Table(script, team=digesting())
    await table.say("tidy up", "mia", role="dev", at=msgspec.structs.replace(MAIN, thread="1"))
    await table.say("write to them", "mia", role="ops", at=msgspec.structs.replace(MAIN, thread="2"))
    (first,) = await ids(table)
    button = table.button("approve")
    await table.control(button, "eve")
    table.turn_clock(hours=25)
    await table.settle()
    sick = msgspec.json.encode(Health(trouble="token refused")).decode()
    facts = (SetMeta(name="health:chat", value=sick), Pause(scope="role:dev", paused=True, by="you"))
    await table.store.inner.commit(Unit(changes=facts))
    table.clock.at_ms -= 3_600_000 * 2
    said = await digests.now(table.store.read, table.teams.team, table.clock.now_ms())
    table.clock.at_ms += 3_600_000 * 2
    assert "Done: 1\n- tidy up (" in said
    assert "Waiting on you: 1\n- OPS asks to use mail" in said
    assert short(first) in said
    assert "Failed: nothing" in said
    assert "overdue in the inbox: 1" in said
    assert "presses refused: 1 (by accounts that are nobody's: 1)" in said
    assert "chat: token refused" in said
    assert "stopped: role:dev" in said
    seq, head = await table.store.read.chain_head()
    assert said.endswith(f"Audit head: {seq}:{head}")
    assert (await table.order("/digest", "bob")).startswith("acme since")


async def test_the_rows_of_a_day_are_found_without_counting() -> None:
    table = await waiting(3)
    whole = await table.store.read.chain()
    assert await digests.seq_before(table.store.read, 0) == 0
    assert await digests.seq_before(table.store.read, whole[-1].row.at_ms) == 0, "a minute's slack"
    table.turn_clock(hours=2)
    begun_ms = table.clock.now_ms()
    await table.say("one more", "mia", role="ops", at=SIDE)
    assert await digests.seq_before(table.store.read, begun_ms) == len(whole)
    assert await digests.seq_before(table.store.read, begun_ms * 2) == (await table.store.read.chain_head())[0]


async def test_a_press_on_a_forgotten_inquiry_is_nothing() -> None:
    table = await waiting(1)
    await table.happens(ControlPressed, "bob", control="no control")
    await table.settle()
    assert any(row.detail.get("reason") == replies.UNKNOWN_BUTTON for row in await audit(table))
