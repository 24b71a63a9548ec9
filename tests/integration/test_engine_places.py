"""One inquiry in several places, on two platforms: shown, pressed, kept true and finalised in all of them; and what
somebody may do there at that moment.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.adapters.models.scripted import both, use
from core.model.errors import RateLimitedError, RetryableError, TerminalError
from core.model.events import CommandReceived, ControlPressed, Conversation, Sender
from core.model.inquiries import Inquiry, InquiryState, Verb
from core.model.team import StageRule, Team, Tier, TierRule
from core.model.unit import Applied, PutInquiry, Table, Unit, Version
from core.model.views import DecidedCard, Inbox, InquiryCard, Line
from core.rules import notes, replies
from core.rules.policy import DEFAULT_TIERS
from core.rules.views import control, parse_control
from core.runtime import inquiries
from tests.engine_kit import BOB, CAROL, DESK, MAIN, SIDE, YOU, Platform, company, person
from tests.engine_kit import Table as Company

SHIP = use("run_command", command="ship", args={"site": "landing"})
SHIPPING = {"ops": [SHIP, use("hand_off", summary="shipped")]}
MAILING = {"ops": [use("mail", to="all"), use("hand_off", summary="sent")]}
APPROVALS = Conversation(platform="desk", account="acme", channel="approvals")
INBOX = Conversation(platform="desk", account="acme", channel="inbox")
NOBODY_RUNS = Conversation(platform="fax", account="acme", channel="1")
MAPPED = {"chat": {"owner": ("role:o",), "approver": ("role:a", "admin")}}
BY_TWO = (StageRule(approve_n=2),)


def shown_in(*places: Conversation, inbox: Conversation | None = None, people=(YOU, BOB, CAROL), **more: Any) -> Team:
    """The company, with places for everything that mail and commands need."""
    team = company(*people)
    tiers = {name: msgspec.structs.replace(rule, deliver=places) for name, rule in DEFAULT_TIERS.items()}
    stages = more.pop("stages", ())
    if stages:
        tiers["external"] = TierRule(stages=stages, deliver=places)
    policy = msgspec.structs.replace(team.policy, tiers=tiers, inbox=inbox)
    return msgspec.structs.replace(team, policy=policy, **more)


async def mailing(team: Team, *, by: str = "you", script=MAILING) -> Company:
    table = Company(script, team=team)
    await table.say("tell them", by, role="ops")
    return table


def seen(platform: Platform, place: Conversation) -> list[Any]:
    """What the screen of a conversation shows now, oldest first."""
    return [e[-1].view for e in platform.messages.values() if e[-1].conversation == place]


def card(platform: Platform, place: Conversation) -> InquiryCard:
    return [view for view in seen(platform, place) if isinstance(view, InquiryCard)][-1]


def button(shown: InquiryCard, verb: Verb = Verb.APPROVE) -> str:
    return next(b.control for b in shown.buttons if parse_control(b.control)[1] is verb)


def line_of(platform: Platform, key: str) -> Line:
    return next(p.view for p in platform.sent if isinstance(p.view, Line) and p.view.event == key)


async def states(table: Company) -> dict[str, str]:
    row = await table.store.read.inquiry((await table.newest()).id)
    return {delivery.id.partition(":")[2]: delivery.state.value for delivery in row.deliveries}


# --- Several showings of one thing ------------------------------------------------------------------------------------


async def test_an_inquiry_is_shown_where_it_was_asked_and_where_the_policy_says() -> None:
    table = await mailing(shown_in(APPROVALS, MAIN, APPROVALS))
    asked = await table.inquiry()
    assert asked.places == (APPROVALS,)
    here, there = card(table.chat, MAIN), card(table.desk, APPROVALS)
    assert (here.delivery, there.delivery) == (f"{asked.id}:1", f"{asked.id}:1:1")
    assert {b.control for b in here.buttons}.isdisjoint(b.control for b in there.buttons)
    assert await states(table) == {"1": "posted", "1:1": "posted"}
    assert await table.control(button(there), "bob", at=APPROVALS) == notes.APPROVED
    for screen, place in ((table.chat, MAIN), (table.desk, APPROVALS)):
        (left,) = [v for v in seen(screen, place) if isinstance(v, InquiryCard | DecidedCard)]
        assert (left.headline[:15], left.state, left.outcome[:6]) == ("Approved by Bob", "approved", "ran in")
    assert await states(table) == {"1": "finalised", "1:1": "finalised"}
    assert len(table.tools["mail"].ran) == 1


async def test_every_showing_follows_votes_and_edits() -> None:
    team = shown_in(APPROVALS, people=(YOU, BOB, CAROL, person("dave")), stages=BY_TWO)
    table = await mailing(team)
    old = button(card(table.desk, APPROVALS))
    assert await table.control(button(card(table.chat, MAIN)), "bob") == notes.COUNTED
    assert "approved so far by Bob" in card(table.desk, APPROVALS).needs
    edit = button(card(table.desk, APPROVALS), Verb.EDIT)
    assert await table.control(edit, "bob", at=APPROVALS, to="some") == notes.EDITED
    for screen, place in ((table.chat, MAIN), (table.desk, APPROVALS)):
        (now,) = [v for v in seen(screen, place) if isinstance(v, InquiryCard)]
        assert (now.revision, now.fields[0].shown, now.edit[0].value) == (2, "some", "some")
    assert await table.control(old, "carol", at=APPROVALS) == notes.STALE
    assert await table.control(button(card(table.desk, APPROVALS)), "carol", at=APPROVALS) == notes.COUNTED
    assert await table.control(button(card(table.chat, MAIN)), "dave") == notes.APPROVED
    assert [arguments for arguments, _ in table.tools["mail"].ran] == [{"to": "some"}]


async def test_a_platform_that_comes_back_gets_its_own_showings_again() -> None:
    table = await mailing(shown_in(APPROVALS))
    before = len(table.chat.sent)
    await inquiries.show_open(table.context, "desk", "again")
    await table.settle()
    assert len(table.chat.sent) == before
    assert len([p for p in table.desk.sent if isinstance(p.view, InquiryCard)]) == 2


async def test_what_is_shown_again_says_who_has_approved_what() -> None:
    two = {"ops": [both(use("mail", to="all"), use("mail", to="us")), use("hand_off", summary="sent")]}
    table = await mailing(shown_in(APPROVALS, stages=BY_TWO), script=two)
    first, second = (v for v in seen(table.desk, APPROVALS) if isinstance(v, InquiryCard))
    assert await table.control(button(first), "bob", at=APPROVALS) == notes.COUNTED
    table.desk.sent.clear()
    await inquiries.show_open(table.context, "desk", "again")
    await table.settle()
    shown = {p.view.inquiry: p.view.needs for p in table.desk.sent if isinstance(p.view, InquiryCard)}
    assert shown.keys() == {first.inquiry, second.inquiry}
    assert "approved so far by Bob" in shown[first.inquiry]
    assert "approved" not in shown[second.inquiry]


async def test_a_note_is_for_the_presser_alone_where_they_pressed() -> None:
    table = await mailing(shown_in(APPROVALS))
    key = await table.happens(ControlPressed, "you", APPROVALS, control=button(card(table.desk, APPROVALS)))
    await table.settle()
    told = line_of(table.desk, key)
    assert (told.text, told.private, told.to) == (notes.NOT_YOUR_OWN, True, "desk:you")
    key = await table.happens(ControlPressed, "bob", SIDE, control=button(card(table.chat, MAIN)))
    await table.settle()
    assert (line_of(table.chat, key).text, line_of(table.chat, key).to) == (replies.UNKNOWN_BUTTON, "chat:bob")


# --- Clicks -----------------------------------------------------------------------------------------------------------


async def test_case_2_the_same_person_on_two_platforms_is_one_vote() -> None:
    table = await mailing(shown_in(APPROVALS, stages=BY_TWO))
    assert await table.control(button(card(table.chat, MAIN)), "bob") == notes.COUNTED
    assert await table.control(button(card(table.desk, APPROVALS)), "bob", at=APPROVALS) == notes.SEEN
    row = await table.store.read.inquiry((await table.inquiry()).id)
    assert [(v.principal, v.account, v.conversation) for v in row.votes] == [("bob", "chat:bob", MAIN)]
    assert await table.control(button(card(table.desk, APPROVALS)), "carol", at=APPROVALS) == notes.APPROVED


async def test_case_10_a_forged_button_and_one_of_another_workspace_are_nobodys() -> None:
    table = await mailing(shown_in(APPROVALS))
    good = button(card(table.desk, APPROVALS))
    nonce = good.partition(".")[0]
    forged = control("".join(reversed(nonce)), Verb.APPROVE)
    assert await table.control(forged, "bob", at=APPROVALS) == replies.UNKNOWN_BUTTON
    elsewhere = msgspec.structs.replace(APPROVALS, account="another")
    assert await table.control(good, "bob", at=elsewhere) == replies.UNKNOWN_BUTTON
    assert await table.control(f"{nonce}.a7", "bob", at=APPROVALS) == notes.APPROVED


async def test_case_11_a_button_counts_where_that_showing_is_and_to_look_is_free() -> None:
    table = await mailing(shown_in(APPROVALS))
    here, there = card(table.chat, MAIN), card(table.desk, APPROVALS)
    for pressed, place in ((here, APPROVALS), (there, MAIN), (here, SIDE), (there, DESK)):
        assert await table.control(button(pressed), "bob", at=place) == replies.UNKNOWN_BUTTON
    await table.order("/inbox", "bob", at=DESK)
    (item,) = next(v for v in seen(table.desk, DESK) if isinstance(v, Inbox)).items
    (look,) = item.buttons
    assert "to: all" in await table.control(look.control, "bob", at=DESK)
    assert "to: all" in await table.control(look.control, "you", at=DESK)
    assert await table.control(look.control.replace(".v", ".a"), "bob", at=DESK) == replies.UNKNOWN_BUTTON
    assert (await table.inquiry()).state is InquiryState.OPEN
    assert (
        await table.control(button(there), "bob", at=msgspec.structs.replace(APPROVALS, thread="7")) == notes.APPROVED
    )


async def test_who_may_not_decide_looks_only_where_it_is_shown() -> None:
    table = await mailing(shown_in(APPROVALS, people=(YOU, BOB, person("mia", "member"))))
    look = button(card(table.chat, MAIN), Verb.VIEW)
    assert await table.control(look, "mia", at=DESK) == replies.UNKNOWN_BUTTON
    assert "to: all" in await table.control(look, "mia")


# --- Authority --------------------------------------------------------------------------------------------------------


async def test_case_19_an_approver_who_lost_the_role_before_the_last_vote_does_not_count() -> None:
    table = await mailing(shown_in(APPROVALS, stages=BY_TWO, platform_roles=MAPPED))
    table.chat.held = {"chat:bob": frozenset({"role:a"}), "chat:carol": frozenset({"admin"})}
    press = button(card(table.chat, MAIN))
    assert await table.control(press, "bob") == notes.COUNTED
    table.chat.held["chat:bob"] = frozenset({"role:other"})
    table.turn_clock(seconds=61)
    assert await table.control(press, "carol") == notes.OTHERS_UNSURE
    assert not table.tools["mail"].ran
    assert await table.control(press, "bob") == notes.NOT_ELIGIBLE
    table.chat.held["chat:bob"] = frozenset({"role:o"})
    table.turn_clock(seconds=61)
    assert await table.control(press, "bob") == notes.APPROVED
    assert len(table.tools["mail"].ran) == 1


async def test_case_19_an_approver_removed_from_the_team_does_not_count_on_any_platform() -> None:
    table = await mailing(shown_in(APPROVALS, stages=BY_TWO))
    assert await table.control(button(card(table.chat, MAIN)), "bob") == notes.COUNTED
    table.teams.team = shown_in(APPROVALS, stages=BY_TWO, people=(YOU, person("bob", "member"), CAROL), version="t2")
    await table.engine.keep_definition()
    assert await table.control(button(card(table.desk, APPROVALS)), "carol", at=APPROVALS) == notes.COUNTED
    assert not table.tools["mail"].ran


async def test_case_20_an_account_that_is_unlinked_renamed_or_somebody_elses() -> None:
    table = await mailing(shown_in(APPROVALS, stages=BY_TWO))
    press = button(card(table.chat, MAIN))
    await table.happens(ControlPressed, control=press, sender=Sender(account="chat:bob2", name="Bob"))
    await table.settle()
    assert table.lines[-1] == replies.STRANGER
    renamed = await table.happens(ControlPressed, control=press, sender=Sender(account="chat:bob", name="Carol"))
    await table.settle()
    assert table.answered(renamed) == notes.COUNTED
    bob = msgspec.structs.replace(BOB, accounts=("desk:bob",))
    carol = msgspec.structs.replace(CAROL, accounts=("chat:bob",))
    table.teams.team = shown_in(APPROVALS, stages=BY_TWO, people=(YOU, bob, carol), version="t2")
    await table.engine.keep_definition()
    assert await table.control(button(card(table.desk, APPROVALS)), "bob", at=APPROVALS) == notes.SEEN
    assert await table.control(press, "bob") == notes.APPROVED  # the account is Carol's now, and so is the vote
    row = await table.store.read.inquiry((await table.newest()).id)
    assert {v.principal for v in row.votes} == {"bob", "carol"}


async def test_a_platforms_roles_never_give_more_than_the_team_does() -> None:
    table = await mailing(shown_in(people=(YOU, BOB, person("mia", "member")), platform_roles=MAPPED))
    table.chat.held = {"chat:mia": frozenset({"role:o"}), "chat:bob": frozenset()}
    press = button(card(table.chat, MAIN))
    assert await table.control(press, "mia") == notes.NOT_ELIGIBLE
    assert await table.control(press, "bob") == notes.NOT_ELIGIBLE
    assert await table.order("/approve", "bob", at=DESK) == notes.APPROVED  # a platform that is not mapped has no say


async def test_who_holds_no_role_there_may_still_ask_and_answer() -> None:
    asking = {"ops": [use("ask_human", question="Which colour?"), use("hand_off", summary="painted")]}
    table = await mailing(shown_in(platform_roles=MAPPED), script=asking)
    table.chat.held = {}
    assert await table.press("answer", "bob", answer="blue") == notes.ANSWERED
    assert table.answer == "painted"


async def test_a_standing_is_asked_once_a_minute_at_most() -> None:
    table = await mailing(shown_in(stages=BY_TWO, platform_roles=MAPPED))
    asked: list[str] = []
    held = {"chat:bob": frozenset({"admin"}), "chat:carol": frozenset({"admin"})}

    async def roles(account: str, _place: Conversation) -> frozenset[str]:
        asked.append(account)
        return held[account]

    table.chat.roles = roles
    press = button(card(table.chat, MAIN))
    assert await table.control(press, "bob") == notes.COUNTED
    assert await table.control(press, "bob") == notes.SEEN
    assert asked == ["chat:bob"]
    table.turn_clock(seconds=59)
    assert await table.control(press, "bob") == notes.SEEN
    table.turn_clock(seconds=2)
    assert await table.control(press, "bob") == notes.SEEN
    assert asked == ["chat:bob"] * 2
    assert len(table.context.roles_held) == 1
    assert await table.control(press, "carol") == notes.APPROVED
    assert asked == ["chat:bob"] * 2 + ["chat:carol"]


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_vote_whose_voter_cannot_be_looked_up_is_kept_and_counts_when_they_can(hangs: bool) -> None:
    table = await mailing(shown_in(APPROVALS, platform_roles=MAPPED))
    if hangs:
        roles = table.chat.roles

        async def hang(_account: str, _place: Conversation) -> frozenset[str]:
            table.pass_timeouts(3)
            await table.chat.silent.wait()
            raise AssertionError

        table.chat.roles = hang
    assert await table.control(button(card(table.chat, MAIN)), "bob") == notes.KEPT
    asked = await table.inquiry()
    assert asked.state is InquiryState.COLLECTING
    assert "1 of 2: Bob or Carol" in card(table.desk, APPROVALS).needs
    assert not table.tools["mail"].ran
    if hangs:
        table.chat.roles = roles
    await table.settle_later(seconds=60, times=2)
    assert (await table.inquiry()).state is InquiryState.COLLECTING
    table.chat.held = {"chat:bob": frozenset({"role:a"})}
    await table.settle_later(seconds=60, times=1)
    assert len(table.tools["mail"].ran) == 1
    assert (await table.newest()).resolution.by == ("bob",)
    audited = list(await table.store.read.unsealed(999)) + [s.row for s in await table.store.read.chain()]
    cast = [r for r in audited if r.what == "vote.cast"]
    assert {(r.principal, r.account) for r in cast} == {("bob", "chat:bob")}
    assert len(cast) == 2
    table.turn_clock(hours=1)
    await table.settle()
    assert (await table.store.read.counts()).signals_due == 0


async def test_two_kept_votes_are_both_counted_as_soon_as_both_can_be() -> None:
    table = await mailing(shown_in(stages=BY_TWO, platform_roles=MAPPED))
    press = button(card(table.chat, MAIN))
    assert await table.control(press, "bob") == notes.KEPT
    assert await table.control(press, "carol") == notes.KEPT
    assert await table.control(press, "carol") == notes.KEPT
    table.chat.held = {"chat:bob": frozenset({"role:a"}), "chat:carol": frozenset({"role:a"})}
    await table.settle_later(seconds=60, times=1)
    assert len(table.tools["mail"].ran) == 1


async def test_a_kept_vote_counts_once_the_platform_has_no_say_any_more() -> None:
    table = await mailing(shown_in(platform_roles=MAPPED))
    assert await table.control(button(card(table.chat, MAIN)), "bob") == notes.KEPT
    table.teams.team = shown_in(version="t2")
    await table.engine.keep_definition()
    await table.settle_later(seconds=60, times=1)
    assert len(table.tools["mail"].ran) == 1


async def test_a_kept_vote_of_somebody_who_may_not_is_void_and_not_asked_for_ever() -> None:
    table = await mailing(shown_in(platform_roles=MAPPED))
    assert await table.control(button(card(table.chat, MAIN)), "bob") == notes.KEPT
    table.chat.held = {"chat:bob": frozenset()}
    await table.settle_later(seconds=60, times=2)
    assert (await table.inquiry()).state is InquiryState.COLLECTING
    assert (await table.store.due(99))[2] == (await table.inquiry()).decide_by_ms
    assert await table.order("/deny x", "carol", at=DESK)
    assert not table.tools["mail"].ran


async def test_an_edit_meanwhile_makes_the_look_back_pointless() -> None:
    table = await mailing(shown_in(platform_roles=MAPPED))
    assert await table.control(button(card(table.chat, MAIN)), "bob") == notes.KEPT
    (asked,) = await table.inquiries()
    assert await table.order(f'/edit {asked.id} {{"to":"x"}}', "carol", at=DESK) == notes.EDITED
    table.chat.held = {"chat:bob": frozenset({"role:a"})}
    await table.settle_later(seconds=60, times=1)
    assert ((await table.inquiry()).revision, (await table.inquiry()).state) == (2, InquiryState.OPEN)


async def test_a_mapped_platform_that_does_not_run_vouches_for_nobody() -> None:
    table = await mailing(shown_in(platform_roles={"fax": {"owner": ("admin",)}}))
    (asked,) = await table.inquiries()
    sender = Sender(account="chat:bob", name="Bob")
    assert await table.order(f"/approve {asked.id}", "bob", at=SIDE) == notes.APPROVED
    table = await mailing(shown_in(platform_roles={"fax": {"owner": ("admin",)}}))
    (asked,) = await table.inquiries()
    await table.happens(CommandReceived, at=NOBODY_RUNS, sender=sender, name="approve", arguments=(asked.id,))
    await table.settle()
    assert (await table.inquiry()).state is InquiryState.COLLECTING
    assert not table.tools["mail"].ran


# --- What is shown ----------------------------------------------------------------------------------------------------


async def test_case_28_defaults_are_on_every_card_and_in_its_form() -> None:
    team = shown_in(APPROVALS)
    ops = team.roles["ops"]
    spec = next(s for s in ops.specs if s.name == "mail")
    properties = {**spec.parameters["properties"], "copies": {"type": "integer", "default": 3}}
    more = msgspec.structs.replace(spec, parameters={**spec.parameters, "properties": properties})
    specs = tuple(more if s.name == "mail" else s for s in ops.specs)
    team = msgspec.structs.replace(team, roles={**team.roles, "ops": msgspec.structs.replace(ops, specs=specs)})
    table = await mailing(team)
    for shown in (card(table.chat, MAIN), card(table.desk, APPROVALS)):
        assert {f.name: f.shown for f in shown.fields} == {"to": "all", "copies": "3"}
        assert {f.name: f.shown for f in shown.whole}.items() >= {"to": "all", "copies": "3"}.items()
        assert {q.name: q.value for q in shown.edit} == {"to": "all", "copies": "3"}
    edit = button(card(table.desk, APPROVALS), Verb.EDIT)
    assert await table.control(edit, "bob", at=APPROVALS, to="all", copies="five") == (
        f"{notes.INVALID_EDIT}: copies: write a whole number."
    )
    assert await table.control(edit, "bob", at=APPROVALS, to="all", copies="5") == notes.EDITED
    assert (await table.inquiry()).action.arguments == {"to": "all", "copies": 5}


async def test_case_29_a_secret_is_on_no_screen_and_in_no_form_and_approved_all_the_same() -> None:
    table = await mailing(shown_in(APPROVALS))
    asked = await table.inquiry()
    secret = msgspec.structs.replace(asked.action, secrets=("to",))
    assert await put(table, msgspec.structs.replace(asked, action=secret, version=asked.version + 1)) == Applied()
    table.chat.sent.clear()
    table.desk.sent.clear()
    for platform in ("chat", "desk"):
        await inquiries.show_open(table.context, platform, "again")
    await table.settle()
    for shown in (card(table.chat, MAIN), card(table.desk, APPROVALS)):
        assert "all" not in {f.shown for f in (*shown.fields, *shown.whole)}
        assert shown.edit == ()
    told = await table.control(button(card(table.desk, APPROVALS), Verb.VIEW), "bob", at=APPROVALS)
    assert "(secret, not shown)" in told
    edit = control(button(card(table.chat, MAIN)).partition(".")[0], Verb.EDIT)
    assert await table.control(edit, "bob", to="others") == notes.NO_CHANGE
    assert await table.control(button(card(table.chat, MAIN)), "bob") == notes.APPROVED
    assert [arguments for arguments, _ in table.tools["mail"].ran] == [{"to": "all"}]


async def put(table: Company, new: Inquiry) -> Any:
    guard = Version(table=Table.INQUIRY, id=new.id, version=new.version - 1)
    return await table.store.commit(Unit(guards=(guard,), changes=(PutInquiry(inquiry=new),)))


# --- Places that fail -------------------------------------------------------------------------------------------------


async def failing(team: Team, chat=(), desk=(), script=MAILING) -> Company:
    table = Company(script, team=team)
    table.chat.troubles, table.desk.troubles = [*chat], [*desk]
    await table.say("tell them", role="ops")
    return table


GONE = TerminalError("the bot was removed")


async def test_case_39_one_place_down_and_the_other_decides() -> None:
    down = [RetryableError("connection refused")] * 3
    table = await failing(shown_in(APPROVALS), chat=down)
    assert await states(table) == {"1": "planned", "1:1": "posted"}
    assert (await table.inquiry()).state is InquiryState.OPEN
    assert await table.control(button(card(table.desk, APPROVALS)), "bob", at=APPROVALS) == notes.APPROVED
    await table.settle_later(seconds=60, times=4)
    (left,) = [v for v in seen(table.chat, MAIN) if isinstance(v, InquiryCard | DecidedCard)]
    assert left.headline.startswith("Approved by Bob")
    assert len(table.tools["mail"].ran) == 1


async def test_case_39_a_place_that_is_limited_waits_and_one_that_is_gone_is_done_without() -> None:
    limited = RateLimitedError("slow down", retry_after_ms=5_000, scope="conversation")
    table = await failing(shown_in(APPROVALS), chat=[limited], desk=[GONE])
    assert ((await table.inquiry()).state, await states(table)) == (
        InquiryState.CREATED,
        {"1": "planned", "1:1": "failed"},
    )
    table.turn_clock(seconds=5)
    await table.settle()
    assert ((await table.inquiry()).state, await states(table)) == (
        InquiryState.OPEN,
        {"1": "posted", "1:1": "failed"},
    )


async def test_case_39_where_every_place_is_gone_it_goes_to_the_inbox() -> None:
    table = await failing(shown_in(APPROVALS, inbox=INBOX), chat=[GONE], desk=[GONE])
    asked = await table.inquiry()
    assert (asked.state, asked.places) == (InquiryState.OPEN, (APPROVALS, INBOX))
    assert await states(table) == {"1": "failed", "1:1": "failed", "1:2": "posted"}
    assert await table.control(button(card(table.desk, INBOX)), "bob", at=INBOX) == notes.APPROVED
    assert len(table.tools["mail"].ran) == 1


async def test_case_39_where_the_inbox_is_gone_too_the_owners_are_told() -> None:
    table = Company(MAILING, team=shown_in(APPROVALS, inbox=INBOX))
    await table.say("hello", at=SIDE, role="ops")  # somewhere else, an owner has asked for something
    (first,) = await table.inquiries()
    await table.order(f"/deny {first.id} no", "bob", at=SIDE)
    table.chat.troubles, table.desk.troubles = [GONE], [GONE, GONE]
    await table.say("tell them", role="ops")
    asked = await table.inquiry()
    assert asked.state is InquiryState.UNDELIVERABLE
    (told,) = [p for p in table.chat.sent if isinstance(p.view, Line) and p.view.text.startswith("OPS asks to")]
    assert (told.conversation, told.view.private, told.view.to) == (SIDE, True, "chat:you")
    assert f"/view {asked.id[:6]}" in told.view.text
    assert await table.order(f"/approve {asked.id}", "bob", at=SIDE) == notes.APPROVED


async def test_case_39_a_showing_that_is_lost_later_is_made_up_for_in_the_inbox() -> None:
    table = await failing(shown_in(inbox=INBOX, stages=BY_TWO))
    table.chat.troubles = [GONE]
    assert await table.order("/approve", "bob", at=DESK) == notes.COUNTED
    assert (await table.inquiry()).state is InquiryState.COLLECTING
    assert await states(table) == {"1": "failed", "1:1": "posted"}
    assert "approved so far by Bob" in card(table.desk, INBOX).needs
    assert await table.control(button(card(table.desk, INBOX)), "carol", at=INBOX) == notes.APPROVED


async def test_what_is_overdue_is_shown_in_the_inbox_too() -> None:
    table = await mailing(shown_in(APPROVALS, inbox=INBOX))
    table.turn_clock(hours=24)
    await table.settle()
    for screen, place in ((table.chat, MAIN), (table.desk, APPROVALS), (table.desk, INBOX)):
        assert card(screen, place).overdue
    assert (await table.inquiry()).places == (APPROVALS, INBOX)
    assert await table.control(button(card(table.desk, INBOX)), "bob", at=INBOX) == notes.APPROVED
    lefts = [v for v in seen(table.desk, INBOX) if isinstance(v, DecidedCard)]
    assert [v.headline.startswith("Approved by Bob") for v in lefts] == [True]


async def test_an_inbox_that_is_among_its_places_already_is_not_a_second_one() -> None:
    table = await mailing(shown_in(INBOX, inbox=INBOX))
    table.turn_clock(hours=24)
    await table.settle()
    assert (await table.inquiry()).places == (INBOX,)
    table = await mailing(shown_in(inbox=None))
    table.turn_clock(hours=24)
    await table.settle()
    assert (await table.inquiry()).places == ()


async def test_a_place_on_a_platform_that_does_not_run_does_not_keep_it_waiting() -> None:
    table = await failing(shown_in(NOBODY_RUNS), chat=[GONE])
    assert (await table.inquiry()).state is InquiryState.UNDELIVERABLE


async def test_what_was_shown_only_after_its_deadline_is_in_the_inbox_at_once() -> None:
    limited = RateLimitedError("slow down", retry_after_ms=90_000_000, scope="conversation")
    table = await failing(shown_in(inbox=INBOX), chat=[limited])
    table.turn_clock(hours=25)
    await table.settle()
    assert (await table.inquiry()).overdue
    assert card(table.desk, INBOX).inquiry == (await table.inquiry()).id


async def test_a_tier_may_be_shown_elsewhere_than_another() -> None:
    team = shown_in(APPROVALS)
    tiers = {**team.policy.tiers, Tier.EXTERNAL.value: DEFAULT_TIERS[Tier.EXTERNAL.value]}
    team = msgspec.structs.replace(team, policy=msgspec.structs.replace(team.policy, tiers=tiers))
    assert (await (await mailing(team)).inquiry()).places == ()
    assert (await (await mailing(team, script=SHIPPING)).inquiry()).places == (APPROVALS,)
