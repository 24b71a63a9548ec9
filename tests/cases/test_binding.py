"""Cases 26 to 35: what a decision binds, and whether it was seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from bots.console import wire
from core.adapters.models.scripted import both, use
from core.model.inquiries import Inquiry, InquiryState, Verb
from core.model.team import EffectClass, Tier
from core.model.views import Inbox, Line
from core.rules import notes
from core.rules.canonical import action_digest
from tests import small
from tests.cases.kit import (
    APPROVALS,
    APPROVED,
    DONE,
    SHIPPING,
    TERMINAL,
    asking,
    card,
    change_row,
    click,
    drawn,
    office,
    ran,
    redefine,
    seen,
    sent_to,
    state,
    typed,
    with_tool,
)
from tests.engine_kit import DESK, MAIN, Table

BOTH = (MAIN, APPROVALS)
ELSEWHERE = DESK
"""Where none of it is shown."""


def mail_tool(properties: dict[str, Any], **more: Any):
    how = {"tier": Tier.EXTERNAL, "effect": EffectClass.ONCE, "resource": "mail:{to}", **more}
    return small.tool("mail", {"to": {"type": "string"}, **properties}, ("to",), **how)


# --- 26: what changed since -------------------------------------------------------------------------------------------


async def another_program(table: Table) -> None:
    table.programs.prints["ship"] = "sha256:" + "1" * 64


async def no_program(table: Table) -> None:
    table.programs.prints["ship"] = None


async def another_resource(table: Table) -> None:
    ship = msgspec.structs.replace(small.SHIP, resource="host:{site}")
    await redefine(table, office(commands={"ship": ship}))


async def another_tool(table: Table) -> None:
    """The command takes another argument now, which has a default: another action."""
    ship = msgspec.structs.replace(small.SHIP, args={**small.SHIP.args, "force": {"type": "boolean", "default": True}})
    await redefine(table, office(commands={"ship": ship}))


async def nothing(table: Table) -> None:
    """The definition was saved again."""
    await redefine(table, office())


CHANGES = (another_program, no_program, another_resource, another_tool)


@pytest.mark.parametrize("changes", CHANGES, ids=lambda change: change.__name__)
async def test_case_26_what_changed_before_the_last_vote_is_not_approved(changes) -> None:
    table = await asking(script=SHIPPING)
    await click(table, "bob")
    await changes(table)
    assert await click(table, "carol") == notes.ACTION_CHANGED
    assert await state(table) is InquiryState.CANCELLED
    assert ran(table, "run_command") == 0


@pytest.mark.parametrize("changes", [another_program, no_program], ids=lambda change: change.__name__)
async def test_case_26_what_changed_between_vote_and_run_is_not_run(changes) -> None:
    table = await asking(script=SHIPPING)
    await table.order("/stop ops")
    await click(table, "bob")
    assert await click(table, "carol") == APPROVED
    await changes(table)
    await table.order("/resume ops")
    assert ran(table, "run_command") == 0
    assert "not run" in str(seen(table)[-1]) or any("not run" in str(view) for view in seen(table))


async def test_case_26_an_argument_changed_in_the_database_is_not_approved() -> None:
    table = await asking()

    def others(asked: Inquiry) -> Inquiry:
        return msgspec.structs.replace(asked, action=msgspec.structs.replace(asked.action, arguments={"to": "others"}))

    await change_row(table, others)
    assert await click(table, "bob") == notes.ACTION_CHANGED
    assert ran(table) == 0


async def test_case_26_otherwise_nothing_changed() -> None:
    table = await asking(script=SHIPPING)
    await click(table, "bob")
    await nothing(table)
    assert await click(table, "carol") == APPROVED
    assert ran(table, "run_command") == 1


# --- 27: the whole of it, and nothing that looks like something else --------------------------------------------------

HOSTILE = (
    "all\u202egnp.exe\u2066 @everyone <!channel> **[ok](https://x)** <b>\x1b[2J\x1b[1A\u200b"
    + "x" * 9_000
    + " and delete it"
)


async def hostile() -> Table:
    return await asking(script={"ops": [use("mail", to=HOSTILE), DONE]})


async def test_case_27_the_whole_action_can_always_be_seen_and_nothing_in_it_hides() -> None:
    table = await hostile()
    for place in BOTH:
        shown = card(table, place)
        assert Verb.VIEW in {wire.parse_control(b.control)[1] for b in shown.buttons}
        whole = next(field.shown for field in shown.whole if field.name == "to")
        assert whole.endswith("x and delete it")
        assert "<U+202E>" in whole
        assert "<U+001B>" in whole
        assert not {"\u202e", "\u2066", "\x1b", "\u200b"} & set(str(shown))
    told = await click(table, "bob", Verb.VIEW)
    assert "x and delete it" in told
    assert "\u202e" not in told
    assert ran(table) == 0


async def test_case_27_otherwise_it_is_approved_to_the_byte() -> None:
    table = await hostile()
    assert await click(table, "bob") == APPROVED
    assert sent_to(table) == [{"to": HOSTILE}]


async def test_case_27_console_no_line_of_it_moves_the_cursor_and_v_shows_all() -> None:
    table = await hostile()
    shown = card(table)
    screen = drawn(shown)
    whole = "\n".join(wire.draw_whole(shown, TERMINAL))
    assert "x and delete it" not in screen
    assert "and delete it" in whole
    for text in (screen, whole):
        assert not {"\x1b", "\u202e", "\u200b"} & set(text)
        assert all(wire.cells(line) <= TERMINAL.width for line in text.splitlines())
    assert wire.press(next(b for b in shown.buttons if b.key == "v")) == wire.ShowWhole()


# --- 28, 29: defaults, secrets ----------------------------------------------------------------------------------------


DEFAULTS = {"copies": {"type": "integer", "default": 3}, "urgent": {"type": "boolean", "default": False}}


async def defaulted() -> Table:
    return await asking(with_tool(office(), mail_tool(DEFAULTS)))


async def test_case_28_default_arguments_are_shown_too() -> None:
    table = await defaulted()
    for place in BOTH:
        assert {f.name: f.shown for f in card(table, place).fields} == {"to": "all", "copies": "3", "urgent": "false"}
    assert ran(table) == 0
    assert await click(table, "bob") == APPROVED
    assert sent_to(table) == [{"to": "all", "copies": 3, "urgent": False}]


async def test_case_28_otherwise_there_is_another_default_by_now() -> None:
    """What was shown is what was bound: with a default more it is another action."""
    table = await defaulted()
    await redefine(table, with_tool(office(), mail_tool({**DEFAULTS, "bcc": {"type": "string", "default": "eve"}})))
    assert await click(table, "bob") == notes.ACTION_CHANGED
    assert ran(table) == 0


async def test_case_28_console_a_default_stands_beside_what_was_given() -> None:
    table = await defaulted()
    rows = drawn(card(table))
    assert "copies  3" in rows
    assert "urgent  false" in rows
    assert ran(table) == 0


SECRET = "hunter2-hunter2"


async def with_secret() -> Table:
    """The tool's schema says which argument is one."""
    hidden = {"to": {"type": "string", "writeOnly": True}}
    spec = small.tool("mail", hidden, ("to",), tier=Tier.EXTERNAL, effect=EffectClass.ONCE, says="Mails {to}")
    return await asking(with_tool(office(), spec), script={"ops": [use("mail", to=SECRET), DONE]})


async def test_case_29_a_secret_is_on_no_screen_and_bound_all_the_same() -> None:
    table = await with_secret()
    told = await click(table, "bob", Verb.VIEW)
    shown = [str(post.view) for post in table.chat.sent + table.desk.sent]
    assert "secret" in told
    assert (await table.newest()).editable == ()
    assert not [text for text in (told, *shown) if SECRET in text]
    assert await click(table, "bob") == APPROVED
    assert sent_to(table) == [{"to": SECRET}]


async def test_case_29_otherwise_another_secret_is_another_action() -> None:
    table = await with_secret()

    def another(asked: Inquiry) -> Inquiry:
        return msgspec.structs.replace(asked, action=msgspec.structs.replace(asked.action, arguments={"to": "other"}))

    await change_row(table, another)
    assert await click(table, "bob") == notes.ACTION_CHANGED
    assert ran(table) == 0


async def test_case_29_console_neither_the_card_nor_all_of_it_shows_a_secret() -> None:
    table = await with_secret()
    shown = card(table)
    text = drawn(shown) + "\n".join(wire.draw_whole(shown, TERMINAL))
    assert SECRET not in text
    assert "secret, not shown" in text
    assert await table.control(typed(shown, "a"), "bob") == APPROVED
    assert ran(table) == 1


# --- 30, 31: edits, and grants for something else ---------------------------------------------------------------------

WRONG = {
    "type": ('{"to":5}', notes.INVALID_EDIT),
    "outside the schema": ('{"cc":"eve"}', notes.INVALID_EDIT),
    "not in the list": ('{"kind":"loud"}', notes.INVALID_EDIT),
    "nothing": ('{"to":"all"}', notes.NO_CHANGE),
    "not an object": ('["to"]', notes.NOT_JSON),
}


@pytest.mark.parametrize("edit", WRONG)
async def test_case_30_an_edit_that_does_not_fit_changes_nothing(edit: str) -> None:
    table = await asking(with_tool(office(), mail_tool({"kind": {"enum": ["calm", "plain"], "default": "calm"}})))
    typed_edit, told = WRONG[edit]
    assert (await table.order(f"/edit {typed_edit}", "carol")).startswith(told)
    assert (await table.inquiry()).revision == 1
    await click(table, "bob")
    assert sent_to(table) == [{"to": "all", "kind": "calm"}]


async def test_case_30_an_edit_that_raises_the_tier_is_refused() -> None:
    table = await asking(with_tool(office(), mail_tool({})))
    await redefine(table, with_tool(office(), mail_tool({}, tier=Tier.INFRASTRUCTURE)))
    assert await table.order('/edit {"to":"others"}', "carol") == notes.RAISES_TIER
    assert (await table.inquiry()).revision == 1
    assert ran(table) == 0


async def test_case_30_otherwise_it_fits_and_still_needs_an_approval() -> None:
    table = await asking()
    assert await table.order('/edit {"to":"others"}', "carol") == notes.EDITED
    assert await click(table, "carol") == notes.NOT_ELIGIBLE
    assert ran(table) == 0
    assert await click(table, "bob") == APPROVED
    assert sent_to(table) == [{"to": "others"}]


async def granted(arguments: dict[str, Any]) -> Table:
    """Approved while ops was stopped; then the effect that waits for it is given these arguments."""
    table = await asking()
    await table.order("/stop ops")
    await click(table, "bob")
    tampered(table, arguments)
    await table.order("/resume ops")
    return table


def tampered(table: Table, arguments: dict[str, Any]) -> None:
    """Somebody wrote into the database what the effect that has a grant is to do."""
    effects = table.store.inner._tables.effects
    (row,) = [row for row in effects.values() if getattr(row.effect, "grant", None)]
    effects[row.effect.id] = replace(row, effect=msgspec.structs.replace(row.effect, arguments=arguments))


async def test_case_31_a_grant_is_for_its_own_arguments() -> None:
    table = await granted({"to": "everybody else"})
    assert ran(table) == 0


async def test_case_31_otherwise_they_are_the_same() -> None:
    assert sent_to(await granted({"to": "all"})) == [{"to": "all"}]


# --- 32: what was denied is denied by any name ------------------------------------------------------------------------

POST = mail_tool({}, verb="tell")
SHOUT = small.tool(
    "poke",
    {"at": {"type": "string"}},
    ("at",),
    tier=Tier.EXTERNAL,
    resource="mail:{at}",
    verb="tell",
    effect=EffectClass.ONCE,
)


async def denied_then_poked(at: str) -> Table:
    """Mailing all is denied; then ops pokes at somebody: another tool, and the same kind of act."""
    script = {"ops": [use("mail", to="all"), use("poke", at=at), DONE]}
    table = await asking(with_tool(office(), POST, SHOUT), script)
    assert await click(table, "bob", Verb.DENY, reason="no") == notes.DENIED
    return table


async def test_case_32_the_denied_intent_is_not_tried_through_another_tool() -> None:
    table = await denied_then_poked("all")
    assert await table.inquiries() == ()
    assert len(await table.inquiries(active_only=False)) == 1
    assert "denied" in table.results()[-1]
    assert ran(table, "poke") + ran(table) == 0


async def test_case_32_otherwise_it_is_about_something_else() -> None:
    table = await denied_then_poked("nobody")
    assert ran(table, "poke") == 0
    assert await click(table, "bob") == APPROVED
    assert ran(table, "poke") == 1


# --- 33: rewording ----------------------------------------------------------------------------------------------------


async def reworded(**more: Any) -> Table:
    table = await asking(with_tool(office(), mail_tool({}, says="Sends a mail to {to}")))
    await redefine(table, with_tool(office(), mail_tool({}, **more)))
    return table


async def test_case_33_rewording_the_advisory_text_is_the_same_action() -> None:
    table = await reworded(says="Posts a letter to {to}")
    assert "Sends a mail" in card(table).line
    assert await click(table, "bob") == APPROVED
    assert ran(table) == 1


async def test_case_33_the_agents_reason_is_not_bound() -> None:
    table = await asking()
    before = (await table.inquiry()).digest
    await change_row(table, lambda asked: msgspec.structs.replace(asked, why="because I say so"))
    assert action_digest((await table.inquiry()).action) == before
    assert await click(table, "bob") == APPROVED
    assert ran(table) == 1


async def test_case_33_otherwise_the_payload_changed() -> None:
    table = await reworded(says="Sends a mail to {to}", resource="letter:{to}")
    assert await click(table, "bob") == notes.ACTION_CHANGED
    assert ran(table) == 0


# --- 34, 35: several at once ------------------------------------------------------------------------------------------

LETTERS = {"ops": [both(use("mail", to="all"), use("mail", to="some")), DONE]}


async def two_letters() -> tuple[Table, list[str]]:
    """Both are shown on both platforms."""
    table = await asking(script=LETTERS)
    ids = [one.id for one in await table.inquiries()]
    assert len(ids) == 2
    return table, ids


async def test_case_34_several_at_once_and_one_is_stale_so_none_is_approved() -> None:
    table, (first, second) = await two_letters()
    await table.order("/inbox", "bob", at=ELSEWHERE)
    assert await table.order(f'/edit {second} {{"to":"nobody"}}', "carol", at=ELSEWHERE) == notes.EDITED
    told = await table.order(f"/approve {first} {second}", "bob", at=ELSEWHERE)
    assert notes.STALE in told
    assert ran(table) == 0
    assert [one.state for one in await table.inquiries()] == [InquiryState.OPEN] * 2


@pytest.mark.parametrize("wrong", ["i-000000000000", "denied", "not theirs"])
async def test_case_34_several_at_once_and_one_cannot_be_so_none_is_approved(wrong: str) -> None:
    table, (first, second) = await two_letters()
    who, ids = "bob", f"{first} {second}"
    if wrong == "denied":
        await table.order(f"/deny {second} no", "carol")
    elif wrong == "not theirs":
        who = "you"
    else:
        ids = f"{first} {wrong}"
    await table.order(f"/approve {ids}", who)
    row = await table.store.read.inquiry(first)
    assert (row.inquiry.state, row.votes) == (InquiryState.OPEN, ())
    assert ran(table) == 0


async def test_case_34_otherwise_all_are_as_they_were_seen() -> None:
    table, (first, second) = await two_letters()
    await table.order("/inbox", "bob", at=ELSEWHERE)
    told = await table.order(f"/approve {first} {second}", "bob", at=ELSEWHERE)
    assert told.count(APPROVED) == 2
    assert sorted(arguments["to"] for arguments in sent_to(table)) == ["all", "some"]


async def test_case_34_console_the_line_means_all_of_them_and_says_which_could_not_be() -> None:
    table, (first, second) = await two_letters()
    await table.order(f'/edit {second} {{"to":"nobody"}}', "carol", at=ELSEWHERE)
    line = wire.read_line(f"/approve {first} {second}")
    assert isinstance(line, wire.Command)
    told = await table.order(f"/{line.name} {' '.join(line.arguments)}", "bob", at=ELSEWHERE)
    shown = drawn(Line(text=told))
    assert "Nothing was approved" in shown
    assert second[:6] in shown
    assert ran(table) == 0


async def test_case_35_several_at_once_and_one_was_never_seen_so_none_is_approved() -> None:
    table, (first, second) = await two_letters()
    await table.order(f"/view {first}", "bob", at=ELSEWHERE)
    told = await table.order(f"/approve {first} {second}", "bob", at=ELSEWHERE)
    assert notes.UNSEEN in told
    assert ran(table) == 0
    assert (await table.store.read.inquiry(first)).votes == ()


async def test_case_35_what_somebody_else_has_seen_is_unseen() -> None:
    table, (first, second) = await two_letters()
    await table.order("/inbox", "carol", at=ELSEWHERE)
    assert notes.UNSEEN in await table.order(f"/approve {first} {second}", "bob", at=ELSEWHERE)
    assert ran(table) == 0


async def test_case_35_otherwise_each_was_looked_at() -> None:
    table, (first, second) = await two_letters()
    for one in (first, second):
        await table.order(f"/view {one}", "bob", at=ELSEWHERE)
    await table.order(f"/approve {first} {second}", "bob", at=ELSEWHERE)
    assert ran(table) == 2


async def test_case_35_console_the_inbox_shows_each_with_its_id() -> None:
    table, ids = await two_letters()
    await table.order("/inbox", "bob", at=ELSEWHERE)
    listed = drawn(next(view for view in seen(table, ELSEWHERE) if isinstance(view, Inbox)))
    assert all(one[:6] in listed for one in ids)
    await table.order(f"/approve {' '.join(ids)}", "bob", at=ELSEWHERE)
    assert ran(table) == 2
