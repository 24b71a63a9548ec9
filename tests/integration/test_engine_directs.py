"""Inquiries shown in private: to everybody who may decide them, where each can be reached, and decided there."""

from __future__ import annotations

from typing import Any

import msgspec

from core.adapters.models.scripted import both, use
from core.model.events import Conversation, MessageReceived, Sender
from core.model.inquiries import InquiryState, Verb
from core.model.team import Absence, AccountLink, Escalation, EscalationStep, StageRule, Team, Tier, TierRule
from core.model.unit import LinkAccount, SetMeta, Unit
from core.model.views import DecidedCard, InquiryCard, Line
from core.rules import notes, replies
from tests.engine_kit import BOB, CAROL, MAIN, SIDE, YOU, company, dm, in_private
from tests.engine_kit import Table as Company
from tests.integration.test_engine_places import APPROVALS, MAILING, MAPPED, button, card, seen, states

ROOM = Conversation(platform="chat", account="acme", channel="approvers")
BOB_ALONE, CAROL_ALONE = in_private("chat:bob"), in_private("desk:carol")
ASK = {"ops": [use("ask_human", kind="question", question="which one?"), use("hand_off", summary="done")]}


def told_each(*places: Conversation, stages: tuple[StageRule, ...] = (StageRule(),), **more: Any) -> Team:
    team = company(YOU, BOB, CAROL)
    rule = TierRule(stages=stages, deliver=places, direct=more.pop("direct", True), escalation=more.pop("named", ""))
    tiers = {**team.policy.tiers, "external": rule, "internal": TierRule(direct=True)}
    escalations = more.pop("escalations", {})
    policy = msgspec.structs.replace(team.policy, tiers=tiers, escalations=escalations, **more.pop("policy", {}))
    return msgspec.structs.replace(team, policy=policy, **more)


async def asked(team: Team, *, chat=("bob",), desk=("carol",), script=MAILING, at: Conversation = MAIN) -> Company:
    table = Company(script, team=team)
    table.chat.alone = {f"chat:{name}" for name in chat}
    table.desk.alone = {f"desk:{name}" for name in desk}
    await table.say("tell them", at=at, role="ops")
    return table


async def pressed(table: Company, control: str, by: str, at: Conversation) -> str:
    return await table.control(control, by, at=at)


# --- Shown ------------------------------------------------------------------------------------------------------------


async def test_it_is_shown_in_private_to_each_who_may_decide_it_on_their_first_usable_account() -> None:
    table = await asked(told_each(ROOM), chat=("bob", "you"), desk=("bob", "carol"))
    assert (await table.inquiry()).places == (ROOM, BOB_ALONE, CAROL_ALONE)
    assert card(table.chat, BOB_ALONE).title == card(table.desk, CAROL_ALONE).title == card(table.chat, MAIN).title
    controls = {button(card(table.chat, at)) for at in (MAIN, ROOM, BOB_ALONE)}
    assert len({*controls, button(card(table.desk, CAROL_ALONE))}) == 4


async def test_a_linked_account_is_as_good_and_what_team_yaml_names_comes_first() -> None:
    table = Company(MAILING, team=told_each())
    links = [AccountLink(account=f"chat:{a}", person=p, by=p, at_ms=1) for a, p in (("b2", "bob"), ("c2", "carol"))]
    await table.store.commit(Unit(changes=tuple(LinkAccount(link=link) for link in links)))
    table.chat.alone, table.desk.alone = {"chat:b2", "chat:c2"}, {"desk:carol"}
    await table.say("tell them", role="ops")
    assert (await table.inquiry()).places == (in_private("chat:b2"), CAROL_ALONE)


async def test_who_has_no_usable_account_is_shown_nothing_there_and_the_rest_stands() -> None:
    table = await asked(told_each(ROOM), chat=(), desk=("carol",))
    assert (await table.inquiry()).places == (ROOM, CAROL_ALONE)
    assert set(await states(table)) == {"1", "1:1", "1:2"}


async def test_where_nothing_says_so_nobody_is_written_to() -> None:
    table = await asked(told_each(ROOM, direct=False))
    assert (await table.inquiry()).places == (ROOM,)


async def test_who_asked_in_private_sees_it_there_and_not_twice() -> None:
    table = await asked(told_each(stages=(StageRule(approve_n=2),)), chat=("you", "bob"), at=dm("chat:you"))
    assert (await table.inquiry()).places == (BOB_ALONE, CAROL_ALONE)


async def test_a_question_is_put_to_who_asked_for_the_work_and_not_to_the_whole_team() -> None:
    table = await asked(told_each(), chat=("you", "bob"), script=ASK)
    assert (await table.inquiry()).places == (in_private("chat:you"),)


async def test_where_no_place_at_all_is_left_it_goes_to_the_inbox() -> None:
    from core.model.errors import TerminalError

    table = Company(MAILING, team=told_each(policy={"inbox": APPROVALS}))
    table.chat.alone = {"chat:bob"}
    table.chat.troubles = [TerminalError("gone")] * 9
    await table.say("tell them", role="ops")
    one = await table.inquiry()
    assert one.places == (BOB_ALONE, APPROVALS)
    assert button(card(table.desk, APPROVALS))


# --- Decided ----------------------------------------------------------------------------------------------------------


async def test_a_press_in_private_decides_it_everywhere() -> None:
    table = await asked(told_each(ROOM))
    await table.control(button(card(table.chat, BOB_ALONE)), "bob", at=dm("chat:bob"))
    assert (await table.newest()).state is InquiryState.APPROVED
    assert len(table.tools["mail"].ran) == 1
    for platform, place in ((table.chat, MAIN), (table.chat, ROOM), (table.chat, BOB_ALONE), (table.desk, CAROL_ALONE)):
        assert [type(view) for view in seen(platform, place)][-1] is DecidedCard or place == MAIN
        assert not [view for view in seen(platform, place) if isinstance(view, InquiryCard)]
    assert set((await states(table)).values()) == {"finalised"}


async def test_a_vote_is_shown_in_every_private_place() -> None:
    table = await asked(told_each(stages=(StageRule(approve_n=2),)))
    await table.control(button(card(table.chat, BOB_ALONE)), "bob", at=dm("chat:bob"))
    assert "Bob" not in card(table.desk, CAROL_ALONE).needs.partition(";")[0]
    await table.control(button(card(table.desk, CAROL_ALONE)), "carol", at=dm("desk:carol"))
    assert (await table.newest()).state is InquiryState.APPROVED


async def test_case_11_a_button_of_a_private_chat_counts_only_there_and_only_from_its_own_account() -> None:
    table = await asked(told_each(ROOM), chat=("bob", "carol"), desk=())
    control = button(card(table.chat, BOB_ALONE))
    for by, at in (("carol", dm("chat:carol")), ("bob", MAIN), ("bob", SIDE), ("carol", MAIN), ("bob", dm("desk:bob"))):
        assert await table.control(control, by, at=at) == replies.UNKNOWN_BUTTON, (by, at)
    assert (await table.inquiry()).state is InquiryState.OPEN
    assert not table.tools["mail"].ran
    in_channel = button(card(table.chat, MAIN))
    assert await table.control(in_channel, "bob", at=dm("chat:bob")) == replies.UNKNOWN_BUTTON
    await table.control(control, "bob", at=dm("chat:bob"))
    assert len(table.tools["mail"].ran) == 1


async def test_the_whole_can_be_seen_in_private() -> None:
    table = await asked(told_each())
    line = await table.control(button(card(table.chat, BOB_ALONE), Verb.VIEW), "bob", at=dm("chat:bob"))
    assert "all" in line


async def test_a_platforms_roles_are_asked_for_where_it_is_shown_openly() -> None:
    table = Company(MAILING, team=told_each(ROOM, platform_roles=MAPPED))
    table.chat.alone = {"chat:bob"}
    places = []

    async def roles(account: str, place: Conversation) -> frozenset[str]:
        places.append(place)
        return frozenset({"role:a"}) if place in {MAIN, ROOM} else frozenset()

    table.chat.roles = roles  # type: ignore[method-assign]
    await table.say("tell them", role="ops")
    await table.control(button(card(table.chat, BOB_ALONE)), "bob", at=dm("chat:bob"))
    assert (await table.newest()).state is InquiryState.APPROVED
    assert set(places) == {MAIN}


async def test_where_it_is_shown_only_in_private_a_platforms_roles_are_nobodys() -> None:
    table = Company(MAILING, team=told_each(platform_roles=MAPPED))
    table.chat.alone = {"chat:bob"}

    async def roles(account: str, place: Conversation) -> frozenset[str]:
        return frozenset() if place.account == "dm" else frozenset({"role:a"})

    table.chat.roles = roles  # type: ignore[method-assign]
    await table.say("tell them", at=APPROVALS, role="ops")
    line = await table.control(button(card(table.chat, BOB_ALONE)), "bob", at=dm("chat:bob"))
    assert line == notes.NOT_ELIGIBLE
    assert (await table.inquiry()).state is InquiryState.OPEN


async def test_case_42_a_yes_in_private_counts_as_a_reply_to_its_own_message() -> None:
    table = await asked(told_each(policy={"yes_counts": True}))
    (receipt,) = [r for r, edits in table.chat.messages.items() if edits[-1].conversation == BOB_ALONE]
    mine, others = Sender(account="chat:bob", name="Bob"), Sender(account="chat:carol", name="Carol")
    for sender, at in ((others, dm("chat:carol")), (mine, dm("chat:bob"))):
        assert (await table.inquiry()).state is InquiryState.OPEN
        await table.happens(MessageReceived, at=at, sender=sender, text="yes", reply_to=receipt)
        await table.settle()
    assert (await table.newest()).state is InquiryState.APPROVED


async def test_case_35_what_stands_in_ones_own_private_chat_is_seen() -> None:
    two = {"ops": [both(use("mail", to="all"), use("mail", to="us")), use("hand_off", summary="sent")]}
    table = await asked(told_each(), script=two)
    first, second = await table.inquiries()
    assert "seen" in await table.order(f"/approve {first.id} {second.id}", "carol", at=dm("chat:carol"))
    assert not table.tools["mail"].ran
    await table.order(f"/approve {first.id} {second.id}", "bob", at=dm("chat:bob"))
    assert len(table.tools["mail"].ran) == 2


# --- While it waits ---------------------------------------------------------------------------------------------------


async def test_those_an_escalation_adds_are_written_to_and_those_it_replaces_have_nothing_left_to_press() -> None:
    steps = (
        EscalationStep(after_ms=60_000, to=("carol",)),
        EscalationStep(after_ms=120_000, to=("carol",), replace=True),
    )
    stages, escalations = (StageRule(people=("bob", "carol")),), {"up": Escalation(steps=steps)}
    team = told_each(stages=stages, named="up", escalations=escalations)
    table = Company(MAILING, team=team)
    table.chat.alone, table.desk.alone = {"chat:bob"}, set()
    await table.say("tell them", role="ops")
    assert (await table.inquiry()).places == (BOB_ALONE,)
    table.desk.alone = {"desk:carol"}
    table.turn_clock(seconds=60)
    await table.settle()
    assert (await table.inquiry()).places == (BOB_ALONE, CAROL_ALONE)
    control = button(card(table.chat, BOB_ALONE))
    table.turn_clock(seconds=60)
    await table.settle()
    assert (await table.inquiry()).left == (BOB_ALONE,)
    assert not any(view.buttons for view in seen(table.chat, BOB_ALONE) if isinstance(view, InquiryCard))
    assert await table.control(control, "bob", at=dm("chat:bob")) == notes.MOVED_ON
    await table.control(button(card(table.desk, CAROL_ALONE)), "carol", at=dm("desk:carol"))
    assert (await table.newest()).state is InquiryState.APPROVED


async def test_a_step_alone_may_write_to_everybody() -> None:
    steps = (EscalationStep(after_ms=60_000, direct=True),)
    table = await asked(told_each(direct=False, named="up", escalations={"up": Escalation(steps=steps)}))
    assert (await table.inquiry()).places == ()
    table.turn_clock(seconds=60)
    await table.settle()
    assert (await table.inquiry()).places == (BOB_ALONE, CAROL_ALONE)
    assert (await table.inquiry()).left == ()


async def test_only_those_whom_a_reminder_names_are_reminded_in_private() -> None:
    team = told_each(stages=(StageRule(approve_n=2),))
    rule = msgspec.structs.replace(team.policy.tiers[Tier.EXTERNAL.value], remind_ms=(60_000,))
    policy = msgspec.structs.replace(team.policy, tiers={**team.policy.tiers, "external": rule})
    table = await asked(msgspec.structs.replace(team, policy=policy))
    await table.control(button(card(table.chat, BOB_ALONE)), "bob", at=dm("chat:bob"))
    table.turn_clock(seconds=60)
    await table.settle()
    assert [type(view) for view in seen(table.chat, BOB_ALONE)] == [InquiryCard]
    assert [type(view) for view in seen(table.desk, CAROL_ALONE)] == [InquiryCard, Line]


async def test_a_new_revision_is_shown_to_whoever_may_decide_it_now() -> None:
    team = told_each(stages=(StageRule(people=("bob",)),))
    table = await asked(team)
    assert (await table.inquiry()).places == (BOB_ALONE,)
    table.teams.team = told_each(stages=(StageRule(people=("bob",)), StageRule(people=("carol",))))
    await table.control(button(card(table.chat, BOB_ALONE)), "bob", at=dm("chat:bob"))
    one = await table.inquiry()
    assert (one.revision, one.places) == (2, (BOB_ALONE, CAROL_ALONE))
    assert button(card(table.desk, CAROL_ALONE))


async def away_for(table: Company, person: str, delegate: str) -> None:
    fact = Absence(person=person, until_ms=10**15, delegate=delegate)
    kept = SetMeta(name=f"away:{person}", value=msgspec.json.encode(fact).decode())
    await table.store.commit(Unit(changes=(kept,)))


async def test_who_stands_in_for_somebody_away_is_written_to_where_the_policy_lets_them_decide() -> None:
    only_bob = (StageRule(people=("bob",)),)
    for stages, places in (((StageRule(), *only_bob), (BOB_ALONE, CAROL_ALONE)), (only_bob, (BOB_ALONE,))):
        table = Company(MAILING, team=told_each(stages=stages))
        table.chat.alone, table.desk.alone = {"chat:bob"}, {"desk:carol"}
        await away_for(table, "bob", "carol")
        await table.say("tell them", role="ops")
        assert (await table.inquiry()).places == places


async def test_an_escalation_leaves_its_card_to_who_stands_in_for_those_it_calls() -> None:
    """Bob is called instead of everybody; Carol, his delegate, keeps her card and decides with it."""
    steps = Escalation(steps=(EscalationStep(after_ms=60_000, to=("bob",), replace=True),))
    table = Company(MAILING, team=told_each(named="oncall", escalations={"oncall": steps}))
    table.chat.alone, table.desk.alone = {"chat:bob"}, {"desk:carol"}
    await away_for(table, "bob", "carol")
    await table.say("tell them", role="ops")
    table.turn_clock(seconds=120)
    await table.settle()
    assert (await table.inquiry()).stages[0].eligible == ("bob",)
    assert (await table.inquiry()).left == ()
    said = await pressed(table, button(card(table.desk, CAROL_ALONE)), "carol", dm("desk:carol"))
    assert said == notes.APPROVED
    (left,) = [view for view in seen(table.desk, CAROL_ALONE) if isinstance(view, DecidedCard)]
    assert "Carol (for Bob)" in left.headline
