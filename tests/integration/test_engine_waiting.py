"""What happens on the whole engine while an inquiry waits: reminders, escalation, comments, absences, overrides."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.adapters.models.scripted import both, use
from core.model.events import Conversation, MessageReceived, Sender
from core.model.inquiries import InquiryState, Label, Verb
from core.model.team import Absence, Escalation, EscalationStep, StageRule, Team, TierRule
from core.model.unit import SetMeta, Unit
from core.model.views import DecidedCard, InquiryCard, Line
from core.model.work import Heard
from core.rules import notes, words
from core.rules.views import parse_control
from core.runtime.replying import is_receipt_of
from tests.engine_kit import BOB, CAROL, MAIN, MIA, SIDE, YOU, Table, company, person

ANN = person("ann", "owner")
NEW = person("bob", "member")  # before he became an approver
ROOM, PAGER = (Conversation(platform="desk", account="acme", channel=name) for name in ("room", "pager"))
MAILING = {"ops": [use("mail", to="all"), use("hand_off", summary="sent")]}
HOUR_MS, MINUTE_MS = 3_600_000, 60_000


def office(*, people=(YOU, ANN, BOB, CAROL, MIA), steps=(), repeat=0, yes=False, **rule: Any) -> Team:
    made = company(*people)
    rule.setdefault("stages", (StageRule(people=("ann", "bob", "carol")),))
    policy = msgspec.structs.replace(
        made.policy,
        tiers={**made.policy.tiers, "external": TierRule(escalation="oncall", **rule)},
        escalations={"oncall": Escalation(steps=tuple(steps), repeat_n=repeat)} if steps else {},
        yes_counts=yes,
    )
    return msgspec.structs.replace(made, policy=policy)


def step(minutes, *to, deliver=(), replace=False) -> EscalationStep:
    return EscalationStep(after_ms=minutes * MINUTE_MS, to=to, deliver=tuple(deliver), replace=replace)


async def mailing(team: Team, **more: Any) -> Table:
    table = Table(MAILING, team=team, **more)
    await table.say("tell them", role="ops")
    return table


def said(table: Table, start: str, screen: str = "chat") -> list[str]:
    posts = getattr(table, screen).messages.values()
    views = [edits[-1].view for edits in posts]
    return [view.text for view in views if isinstance(view, Line) and view.text.startswith(start)]


def reminders(table: Table) -> list[str]:
    return said(table, "Still waiting on")


def escalations(table: Table, screen: str = "chat") -> list[str]:
    return said(table, "Nobody has decided this yet", screen)


def at_desk(table: Table, place: Conversation) -> list[Any]:
    edits = [e for e in table.desk.messages.values() if e[-1].conversation == place]
    return [e[-1].view for e in edits]


async def audited(table: Table, what: str) -> list[Any]:
    return [one.row for one in await table.store.read.chain() if one.row.what == what]


# --- Reminders --------------------------------------------------------------------------------------------------------


async def test_a_reminder_answers_the_card_and_names_who_is_needed() -> None:
    table = await mailing(office(remind_ms=(4 * HOUR_MS, 20 * HOUR_MS)))
    (card,) = [receipt for receipt, edits in table.chat.messages.items() if isinstance(edits[-1].view, InquiryCard)]
    table.turn_clock(hours=3.9)
    await table.settle()
    assert reminders(table) == []
    table.turn_clock(hours=0.2)
    await table.settle()
    (line,) = reminders(table)
    assert line.startswith("Still waiting on Ann, Bob and Carol: OPS asks to use mail (i-")
    assert next(post for post in table.posts if isinstance(post.view, Line) and post.view.text == line).reply_to == card
    table.turn_clock(hours=30)
    await table.settle()
    assert len(reminders(table)) == 2
    await table.settle_later(seconds=HOUR_MS, times=3)
    assert len(reminders(table)) == 2
    assert [row.detail["people"] for row in await audited(table, "inquiry.reminded")] == [["ann", "bob", "carol"]] * 2


async def test_case_38_one_reminder_after_downtime_and_none_twice_over_a_crash() -> None:
    table = await mailing(office(remind_ms=tuple(n * HOUR_MS for n in range(1, 40)), decide_ms=99 * HOUR_MS))
    table.turn_clock(hours=20.5)
    await table.crash()
    await table.settle()
    assert len(reminders(table)) == 1
    await table.crash()
    await table.settle()
    assert len(reminders(table)) == 1
    table.turn_clock(hours=1)
    await table.settle()
    assert len(reminders(table)) == 2


async def test_a_snooze_is_for_everybody_and_the_missed_reminder_comes_once_at_its_end() -> None:
    table = await mailing(office(remind_ms=(HOUR_MS, 2 * HOUR_MS, 3 * HOUR_MS)))
    assert (await table.order("/snooze 4", "carol")).startswith("No reminders of it until ")
    table.turn_clock(hours=3.5)
    await table.settle()
    assert reminders(table) == []
    table.turn_clock(hours=1)
    await table.settle()
    assert len(reminders(table)) == 1
    (row,) = await audited(table, "inquiry.snoozed")
    assert (row.principal, row.account) == ("carol", "chat:carol")


async def test_what_is_decided_reminds_nobody() -> None:
    table = await mailing(office(remind_ms=(HOUR_MS,), steps=[step(90, "ann")]))
    assert await table.press("approve", "bob") == notes.APPROVED
    await table.settle_later(seconds=HOUR_MS // 1000, times=3)
    assert reminders(table) + escalations(table) == []


async def test_a_clock_that_is_set_back_loses_no_reminder() -> None:
    table = await mailing(office(remind_ms=(HOUR_MS,), steps=[step(60, "ann")]))
    table.turn_clock(hours=1)
    due = await table.store.due(10)
    table.turn_clock(hours=-0.5)
    for signal in due[1]:
        await table.engine.dispatcher._signal(signal)
    await table.settle()
    assert reminders(table) + escalations(table) == []
    table.turn_clock(hours=0.5)
    await table.settle()
    assert [len(reminders(table)), len(escalations(table))] == [1, 1]


async def test_a_card_says_how_to_give_the_reason_an_approval_needs() -> None:
    table = await mailing(office(approve_reason=True))
    assert table.cards[-1].hint == words.HINT_REASON
    assert await table.press("approve", "bob") == notes.APPROVE_REASON_NEEDED
    assert await table.order("/approve looks right", "bob") == notes.APPROVED


@pytest.mark.parametrize("still", [True, False])
async def test_who_came_by_an_escalation_counts_while_the_tiers_own_selector_means_them(still) -> None:
    steps = [step(60, "carol")]
    table = await mailing(office(stages=(StageRule(people=("bob",)),), steps=steps))
    table.teams.team = office(stages=(StageRule(people=("bob", "carol")),), steps=steps)
    table.turn_clock(hours=1)
    await table.settle()
    assert (await table.inquiry()).stages[0].eligible == ("bob", "carol")
    if not still:  # the step names her still, and is no selector
        table.teams.team = office(stages=(StageRule(people=("bob",)),), steps=steps)
    assert await table.press("approve", "carol") == (notes.APPROVED if still else notes.STRICTER)
    assert len(table.tools["mail"].ran) == still
    if not still:
        anew = await table.inquiry()
        assert (anew.revision, anew.stages[0].eligible) == (2, ("bob",))
        assert await table.press("approve", "carol") == notes.NOT_ELIGIBLE
        table.turn_clock(hours=1)
        await table.settle()
        assert (await table.inquiry()).stages[0].eligible == ("bob",)
        assert await table.press("approve", "bob") == notes.APPROVED


async def test_an_approval_that_needs_a_reason_is_given_in_its_form() -> None:
    table = await mailing(office(approve_reason=True))
    assert table.cards[-1].approve_reason
    assert await table.press("approve", "bob", reason=" ") == notes.APPROVE_REASON_NEEDED
    assert await table.press("approve", "bob", reason="it is tested") == notes.APPROVED
    row = await table.store.read.inquiry((await table.newest()).id)
    assert [vote.reason for vote in row.votes] == ["it is tested"]


async def test_an_edit_starts_the_waiting_anew() -> None:
    table = await mailing(office(remind_ms=(4 * HOUR_MS,), steps=[step(240, "ann")]))
    table.turn_clock(hours=3)
    await table.settle()
    assert await table.press("edit", "bob", to="some") == notes.EDITED
    table.turn_clock(hours=3)
    await table.settle()
    assert reminders(table) + escalations(table) == []
    table.turn_clock(hours=1)
    await table.settle()
    assert [len(reminders(table)), len(escalations(table))] == [1, 1]
    assert reminders(table)[0].startswith("Still waiting on Ann and Carol")


# --- Escalation -------------------------------------------------------------------------------------------------------


async def test_a_step_shows_the_card_in_more_places_and_asks_more_people() -> None:
    table = await mailing(office(steps=[step(30, "ann", deliver=[PAGER]), step(60, "owner")]))
    assert at_desk(table, PAGER) == []
    await table.settle_later(seconds=1800, times=1)
    (line,) = escalations(table)
    assert line.startswith("Nobody has decided this yet. Ann, you are asked too: OPS asks to use mail (i-")
    card, told = at_desk(table, PAGER)
    assert isinstance(card, InquiryCard)
    assert told.text == line
    await table.settle_later(seconds=1800, times=2)
    assert [text.split(". ")[1].split(":")[0] for text in escalations(table)] == [
        "Ann, you are asked too",
        "You and Ann, you are asked too",
    ]
    approve = next(b.control for b in card.buttons if parse_control(b.control)[1] is Verb.APPROVE)
    assert await table.control(approve, "ann", at=PAGER) == notes.APPROVED
    assert len(table.tools["mail"].ran) == 1


async def test_who_was_replaced_and_where_is_asked_no_longer() -> None:
    table = await mailing(office(deliver=(ROOM,), steps=[step(30, "ann", deliver=[PAGER], replace=True)]))
    (old,) = at_desk(table, ROOM)
    approve, view = (
        next(b.control for b in old.buttons if parse_control(b.control)[1] is verb)
        for verb in (Verb.APPROVE, Verb.VIEW)
    )
    assert await table.engine.intake.card(approve) is not None
    await table.settle_later(seconds=1800, times=1)
    (left,) = at_desk(table, ROOM)
    assert isinstance(left, DecidedCard)
    assert left.headline == words.MOVED_ON
    assert await table.engine.intake.card(approve) is None
    assert await table.control(approve, "ann", at=ROOM) == notes.MOVED_ON
    assert "all" in await table.control(view, "ann", at=ROOM)
    assert await table.press("approve", "bob") == notes.NOT_ELIGIBLE
    assert "1 of 1: Ann" in table.cards[-1].needs
    assert await table.press("approve", "ann") == notes.APPROVED
    assert all(view.state == "approved" for view in (at_desk(table, ROOM)[0], at_desk(table, PAGER)[0]))


async def test_case_38_missed_steps_are_recorded_and_the_newest_is_said_once() -> None:
    table = await mailing(office(steps=[step(30, "bob"), step(60, "ann")], repeat=2, decide_ms=99 * HOUR_MS))
    table.turn_clock(hours=2.1)
    await table.crash()
    await table.settle()
    assert len(escalations(table)) == 1
    (row,) = await audited(table, "inquiry.escalated")
    assert [one["step"] for one in row.detail["steps"]] == [1, 2, 3, 4]
    await table.settle_later(seconds=MINUTE_MS, times=2)
    assert len(escalations(table)) == 2  # both steps of the last round were due by then
    assert (await table.inquiry()).escalated_n == 6
    assert (await table.inquiry()).state is InquiryState.OPEN


async def test_escalate_at_the_deadline_asks_the_owners_and_an_extension_puts_it_off() -> None:
    table = await mailing(office(at_deadline="escalate", decide_ms=HOUR_MS))
    assert (await table.order("/extend 2", "bob")).startswith("It can be decided until ")
    assert await table.order("/extend 2", "mia") == notes.NOT_ELIGIBLE
    (row,) = await audited(table, "inquiry.extended")
    assert (row.principal, row.detail["extended_ms"]) == ("bob", 2 * HOUR_MS)
    assert table.cards[-1].decide_by_ms == (await table.inquiry()).decide_by_ms
    await table.settle_later(seconds=7200, times=1)
    assert (escalations(table), (await table.inquiry()).overdue) == ([], False)
    await table.settle_later(seconds=3600, times=1)
    assert escalations(table)[0].startswith("Nobody has decided this yet. You and Ann, you are asked too")
    assert (await table.inquiry()).overdue
    assert (await table.order("/extend 5", "ann")).startswith("It can be decided until ")
    assert not (await table.inquiry()).overdue
    await table.settle_later(seconds=5 * 3600, times=1)
    assert (await table.inquiry()).overdue


# --- Comments ---------------------------------------------------------------------------------------------------------


async def test_a_comment_is_heard_by_the_task_and_the_inquiry_stays_open() -> None:
    table = await mailing(office())
    shown = short_id = (await table.inquiry()).id
    assert await table.order(f"/comment {short_id} mind the footer", "carol") == notes.PASSED_ON
    heard = [entry for entry in await table.journal() if isinstance(entry, Heard)]
    assert [(one.speaker, one.by_role) for one in heard] == [("Carol", False)]
    assert heard[0].text.endswith("OPS asks to use mail; nothing is decided yet) mind the footer")
    assert (await table.inquiry()).id == shown
    assert await table.order("/comment", "carol") == "comment what? /comment ID TEXT"
    assert await table.press("approve", "bob") == notes.APPROVED
    assert "mind the footer" in str(table.model.requests[-1].messages)
    (row,) = await audited(table, "inquiry.commented")
    assert row.principal == "carol"


async def test_what_else_can_be_said_is_below_the_whole_of_it_while_it_is_open() -> None:
    table = await mailing(office())
    assert "/snooze i-" in await table.order("/view", "bob")
    inquiry = await table.inquiry()
    await table.press("approve", "bob")
    assert "/snooze" not in await table.order(f"/view {inquiry.id}", "bob")


# --- Away -------------------------------------------------------------------------------------------------------------


async def test_a_delegate_decides_and_the_record_says_for_whom() -> None:
    table = await mailing(office(stages=(StageRule(people=("ann", "bob")),), remind_ms=(HOUR_MS,)))
    assert (await table.order("/away 8 to Bob", "ann")).startswith("You are away until ")
    table.turn_clock(hours=1)
    await table.settle()
    assert reminders(table)[0].startswith("Still waiting on Bob:")
    assert await table.press("approve", "bob") == notes.APPROVED
    (row,) = await audited(table, "vote.cast")
    assert (row.principal, row.detail["stands_for"]) == ("bob", ["ann"])
    (away,) = await audited(table, "person.away")
    assert (away.principal, away.detail["delegate"]) == ("ann", "bob")


async def test_the_card_says_for_whom_somebody_decides_or_is_asked() -> None:
    asked = office(people=(YOU, ANN, CAROL, NEW), stages=(StageRule(approve_n=2),), remind_ms=(HOUR_MS,))
    table = await mailing(asked)
    assert (await table.inquiry()).stages[0].eligible == ("ann", "carol")
    table.teams.team = office(people=(YOU, ANN, CAROL, BOB), stages=(StageRule(approve_n=2),), remind_ms=(HOUR_MS,))
    assert (await table.order("/away 8 to Bob", "ann")).startswith("You are away")
    table.turn_clock(hours=1)
    await table.settle()
    assert reminders(table)[0].startswith("Still waiting on Carol and Bob (for Ann):")
    assert await table.press("approve", "bob") == notes.COUNTED
    assert "approved so far by Bob (for Ann)" in table.cards[-1].needs
    assert await table.press("approve", "carol") == notes.APPROVED
    assert table.decided[-1].headline.startswith("Approved by Bob (for Ann) and Carol at ")
    inquiry = await table.newest()
    assert inquiry.resolution.stands_for == {"bob": ("ann",)}


async def test_a_card_says_who_stands_in_for_whom() -> None:
    table = Table(MAILING, team=office(people=(YOU, ANN, CAROL), stages=(StageRule(),)))
    await table.order("/away 8 to Carol", "ann")
    await table.say("tell them", role="ops")
    assert table.cards[-1].needs == "1 of 2: Ann or Carol; not You (asked)"  # who is asked anyway is asked as herself
    table = Table(MAILING, team=office(people=(YOU, ANN, CAROL, NEW), stages=(StageRule(approve_n=2),)))
    await table.say("tell them", role="ops")
    table.teams.team = office(people=(YOU, ANN, CAROL, BOB), stages=(StageRule(approve_n=2),))
    assert table.cards[-1].needs == "2 of 2: Ann or Carol; not You (asked)"
    await table.order("/away 8 to Bob", "ann")
    await table.order("/extend 1", "carol")  # anything that draws it again
    assert table.cards[-1].needs == "2 of 3: Ann, Carol or Bob (for Ann); not You (asked)"
    await table.press("approve", "bob")
    assert table.cards[-1].needs == "1 of 2: Ann or Carol; not You (asked) · approved so far by Bob (for Ann)"
    await table.order("/back", "ann")
    await table.press("approve", "carol")
    assert "Bob (for Ann) and Carol" in table.decided[-1].headline


async def test_a_delegate_who_could_not_decide_is_not_named() -> None:
    table = Table(MAILING, team=office(people=(YOU, ANN, CAROL, MIA), stages=(StageRule(people=("ann", "carol")),)))
    await table.order("/away 8", "carol")
    await table.store.commit(Unit(changes=(SetMeta(name="away:ann", value=msgspec.json.encode(LONG_AWAY).decode()),)))
    await table.say("tell them", role="ops")
    assert table.cards[-1].needs == "1 of 2: Ann or Carol; not You (asked)"


LONG_AWAY = Absence(person="ann", until_ms=10**15, delegate="mia")


async def test_a_delegate_approves_several_at_once() -> None:
    two = {"ops": [both(use("mail", to="all"), use("mail", to="us")), use("hand_off", summary="sent")]}
    table = Table(two, team=office(people=(YOU, ANN, NEW), stages=(StageRule(),)))
    await table.say("tell them", role="ops")
    table.teams.team = office(people=(YOU, ANN, BOB), stages=(StageRule(),))
    first, second = await table.inquiries()
    assert notes.NOT_ELIGIBLE in await table.order(f"/approve {first.id} {second.id}", "bob")
    assert (await table.order("/away 8 to Bob", "ann")).startswith("You are away")
    assert notes.APPROVED in await table.order(f"/approve {first.id} {second.id}", "bob")
    assert len(table.tools["mail"].ran) == 2
    cast = await audited(table, "vote.cast")
    assert [(row.principal, row.detail["stands_for"]) for row in cast] == [("bob", ["ann"])] * 2
    assert all("Bob (for Ann)" in card.headline for card in table.decided)


async def test_case_24_the_policy_says_who_can_stand_in() -> None:
    table = await mailing(office(stages=(StageRule(people=("ann", "bob")),)))
    assert await table.order("/away 8 to mia", "ann") == notes.delegate_outside("Mia")
    assert await table.order("/away 8 to nobody-here", "ann") == notes.DELEGATE_UNKNOWN
    assert (await table.order("/away 8 to @carol", "ann")).startswith("You are away")
    assert await table.order("/away 8 to ann", "carol") == notes.DELEGATE_CIRCLE
    assert await table.press("approve", "carol") == notes.NOT_IN_THEIR_PLACE
    assert await table.order("/back", "ann") == notes.AWAY_BACK
    assert await table.press("approve", "carol") == notes.NOT_ELIGIBLE
    assert (await table.order("/away 8 to ann", "carol")).startswith("You are away")


@pytest.mark.parametrize("text", ["", "soon", "8 Bob", "8 to", "0", "2020-01-01"])
async def test_away_says_how_it_is_written(text: str) -> None:
    table = Table(team=office())
    assert await table.order(f"/away {text}".strip(), "ann") == notes.AWAY_HOW
    assert (await table.order("/away 2h", "ann")).endswith("/back ends it.")


# --- An owner's word --------------------------------------------------------------------------------------------------


async def test_case_25_an_owner_overrides_alone_with_a_label_and_a_record() -> None:
    table = await mailing(office(stages=(StageRule(people=("bob", "carol"), approve_n=2),), override=True))
    assert await table.order("/override because", "you") == notes.NOT_YOUR_OWN
    assert await table.order("/override because", "bob") == notes.OWNERS_ONLY
    assert await table.order("/override", "ann") == notes.REASON_NEEDED
    assert not table.tools["mail"].ran
    assert await table.order("/override the site is down", "ann") == notes.APPROVED
    assert len(table.tools["mail"].ran) == 1
    assert (await table.newest()).label is Label.OVERRIDE
    assert table.decided[-1].headline.endswith("(owner override)")
    (row,) = await audited(table, "inquiry.overridden")
    assert (row.principal, row.detail["label"], row.detail["reason"]) == ("ann", "owner override", "the site is down")


async def test_an_owner_by_the_platforms_own_roles_too() -> None:
    team = office(override=True)
    roles = {"chat": {"owner": ("role:o",), "approver": ("role:a",)}}
    table = await mailing(msgspec.structs.replace(team, platform_roles=roles))
    table.chat.held["chat:ann"] = frozenset({"role:a"})
    assert await table.order("/override the site is down", "ann") == notes.OWNERS_ONLY
    table.turn_clock(seconds=61)
    table.chat.held["chat:ann"] = frozenset({"role:o"})
    assert await table.order("/override the site is down", "ann") == notes.APPROVED


# --- Yes --------------------------------------------------------------------------------------------------------------


def card_receipt(table: Table) -> str:
    return next(r for r, edits in table.chat.messages.items() if isinstance(edits[-1].view, InquiryCard))


async def says_yes(table: Table, reply_to: str | None, text: str = "Yes!", by: str = "bob", at=MAIN) -> str:
    key = await table.happens(MessageReceived, by, at, text=text, reply_to=reply_to)
    await table.settle()
    return table.answered(key)


async def test_case_42_a_yes_in_reply_to_the_card_counts_where_the_policy_says_so() -> None:
    table = await mailing(office(yes=True))
    receipt = card_receipt(table)
    for reply_to, text, by, at in (
        (None, "yes", "bob", MAIN),
        ("m-of-something-else", "yes", "bob", MAIN),
        (receipt, "yes, but later", "bob", MAIN),
        (receipt, "yes", "bob", SIDE),
    ):
        await says_yes(table, reply_to, text, by, at)
    assert (await table.store.read.inquiry((await table.inquiries())[0].id)).votes == ()
    assert await says_yes(table, receipt, by="mia") == notes.NOT_ELIGIBLE
    assert await says_yes(table, receipt, by="you") == notes.NOT_YOUR_OWN
    assert await says_yes(table, receipt) == notes.APPROVED
    assert len(table.tools["mail"].ran) == 1


async def test_case_42_by_default_a_yes_is_only_a_word() -> None:
    table = await mailing(office())
    await says_yes(table, card_receipt(table))
    assert (await table.inquiry()).state is InquiryState.OPEN
    assert [entry.text for entry in await table.journal() if isinstance(entry, Heard)] == ["Yes!"]


async def test_a_yes_answers_no_question() -> None:
    table = Table(
        {"ops": [use("ask_human", question="Paint it?"), use("hand_off", summary="x")]}, team=office(yes=True)
    )
    await table.say("paint it", role="ops")
    await says_yes(table, card_receipt(table))
    assert (await table.inquiry()).state is InquiryState.OPEN


@pytest.mark.parametrize(
    ("receipt", "message", "same"),
    [
        ("42", "42", True),
        ("C1:17.5", "17.5", True),
        ("C1/17.5", "17.5", True),
        ("142", "42", False),
        ("", "", False),
        ("C1:", "", False),
    ],
)
def test_a_receipt_names_its_message(receipt: str, message: str, same: bool) -> None:
    assert is_receipt_of(receipt, message) is same


# --- Asked where nothing can be shown ---------------------------------------------------------------------------------

TERMINAL = Conversation(platform="cli", account="acme", channel="root", thread="1")


async def typed(team: Team) -> Table:
    """Asked for by a command, which shows nothing once it has ended."""
    table = Table(MAILING, team=team)
    sender = Sender(account="cli:root", asserted="you")
    await table.happens(MessageReceived, at=TERMINAL, sender=sender, text="tell them", role="ops")
    await table.settle()
    return table


@pytest.mark.parametrize("at_deadline", ["queue", "escalate"])
async def test_what_was_asked_for_on_a_command_line_is_overdue_too_and_shown_in_the_inbox(at_deadline) -> None:
    team = office(at_deadline=at_deadline)
    team = msgspec.structs.replace(team, policy=msgspec.structs.replace(team.policy, inbox=ROOM))
    table = await typed(team)
    assert (await table.inquiry()).state is InquiryState.CREATED
    table.turn_clock(hours=24)
    await table.settle()
    assert (await table.inquiry()).overdue
    assert (await table.inquiry()).state is InquiryState.OPEN
    (shown,) = [view for view in at_desk(table, ROOM) if isinstance(view, InquiryCard)]
    assert shown.overdue
    assert (await table.store.read.waiting(overdue=True))[1] == 1


async def test_what_was_asked_for_on_a_command_line_is_denied_at_its_deadline_where_the_policy_says_so() -> None:
    table = await typed(office(at_deadline="deny"))
    table.turn_clock(hours=24)
    await table.settle()
    assert (await table.newest()).state is InquiryState.DENIED
    assert table.tools["mail"].ran == []
