from __future__ import annotations

import pytest
from msgspec import structs

from core.model.events import (
    BotAdded,
    CardMoved,
    CommandReceived,
    ControlPressed,
    FormSubmitted,
    MessageEdited,
    MessageReceived,
    ReactionAdded,
    ScheduleFired,
    Sender,
    WebhookReceived,
)
from core.model.inquiries import Evidence, Verb
from core.model.team import Person
from core.rules import replies
from core.rules.commands import Ask, Control, Decide, Link, Show, Unclear, parse
from core.rules.router import (
    TEXT_BYTES_MAX,
    Greet,
    Ignore,
    Press,
    Reworded,
    Say,
    Start,
    Tell,
    TurnAway,
    names_a_role,
    route,
    sender_of,
)
from tests.small import NOW_MS, PLACE, SENDER, YOU, team

TEAM = team()
VIEWER = Person(id="eve", name="Eve", role="viewer")
BASE = {"key": "k", "at_ms": NOW_MS, "conversation": PLACE, "sender": SENDER}


def message(text: str, **more: object) -> MessageReceived:
    return MessageReceived(text=text, **BASE, **more)


def test_new_words_go_to_the_lead() -> None:
    assert route(message(" ship it "), TEAM, YOU, task_runs=False) == Start(role="ceo", text="ship it")


def test_words_to_a_running_task_are_told_to_it() -> None:
    assert route(message("faster"), TEAM, YOU, task_runs=True) == Tell(text="faster")


@pytest.mark.parametrize(("text", "role", "said"), [("@ops look", "ops", "look"), ("@OPS: look", "ops", "look")])
def test_a_role_can_be_addressed_even_while_a_task_runs(text: str, role: str, said: str) -> None:
    assert route(message(text), TEAM, YOU, task_runs=True) == Start(role=role, text=said)


@pytest.mark.parametrize("text", ["@ops", "@nobody hello"])
def test_an_at_sign_alone_addresses_nobody(text: str) -> None:
    assert route(message(text), TEAM, YOU, task_runs=False) == Start(role="ceo", text=text)


def test_an_unknown_role_is_named_with_those_there_are() -> None:
    said = route(message("x", role="nobody"), TEAM, YOU, task_runs=False)
    assert isinstance(said, Say)
    assert "ceo, cto, ops, dev" in said.line


def test_strangers_get_one_polite_line_whatever_they_do() -> None:
    for event in (
        message("hi"),
        CommandReceived(name="approve", **BASE),
        ControlPressed(control="x", **BASE),
        FormSubmitted(control="x", fields={}, **BASE),
    ):
        assert route(event, TEAM, None, task_runs=True) == TurnAway()
    for event in (message("hi", addressed=False), MessageEdited(original="k", text="x", **BASE)):
        assert route(event, TEAM, None, task_runs=True) == Ignore()
    assert route(CommandReceived(name="pair", arguments=("4K7D-9QXM",), **BASE), TEAM, None, task_runs=False) == Link(
        code="4K7D-9QXM"
    )
    assert route(CommandReceived(name="link", **BASE), TEAM, None, task_runs=False) == TurnAway()


def test_a_new_place_is_greeted_and_new_words_for_old_are_told_apart() -> None:
    assert route(BotAdded(**BASE), TEAM, None, task_runs=False) == Greet()
    assert route(MessageEdited(original="k", text="x", **BASE), TEAM, YOU, task_runs=True) == Reworded(original="k")
    assert route(CommandReceived(name="link", **BASE), TEAM, YOU, task_runs=False) == Link()


def test_a_channel_bound_to_a_role_is_that_roles() -> None:
    bound = structs.replace(TEAM, channels={f"{PLACE.platform}:{PLACE.channel}": "ops"})
    assert route(message("hi"), bound, YOU, task_runs=False) == Start(role="ops", text="hi")
    assert route(message("@ceo hi"), bound, YOU, task_runs=False) == Start(role="ceo", text="hi")
    assert names_a_role("@ops look", TEAM)
    assert not names_a_role("ops look", TEAM)


def test_a_viewer_may_not_ask() -> None:
    assert route(message("hi"), TEAM, VIEWER, task_runs=False) == Say(line=replies.MAY_NOT_ASK)
    for name in ("ask", "cancel"):
        event = CommandReceived(name=name, arguments=("t-1",), **BASE)
        assert route(event, TEAM, VIEWER, task_runs=False) == Say(line=replies.MAY_NOT_ASK)


def test_empty_and_huge_messages() -> None:
    assert route(message(" \n"), TEAM, YOU, task_runs=False) == Ignore()
    assert route(message("x" * (TEXT_BYTES_MAX + 1)), TEAM, YOU, task_runs=False) == Say(line=replies.MESSAGE_TOO_LONG)
    assert isinstance(route(message("x" * 200_000), TEAM, YOU, task_runs=False), Start)


def test_what_starts_work_with_nobody_asking() -> None:
    quiet = Sender(account="schedule")
    base = {**BASE, "sender": quiet}
    assert route(ScheduleFired(schedule="s", scheduled_at_ms=1, text="digest", role="ops", **base), TEAM, None,
                 task_runs=True) == Start(role="ops", text="digest")  # fmt: skip
    assert route(WebhookReceived(hook="h", body="{}", **base), TEAM, None, task_runs=False) == Start(
        role="ceo", text="{}"
    )
    moved = CardMoved(card="c", column_from="a", column_to="b", text="do c", role="gone", **base)
    assert isinstance(route(moved, TEAM, None, task_runs=False), Say)
    assert route(ReactionAdded(message="m", reaction="+1", **BASE), TEAM, YOU, task_runs=False) == Ignore()


def test_buttons_forms_and_commands() -> None:
    assert route(ControlPressed(control="n.a", **BASE), TEAM, YOU, task_runs=False) == Press(control="n.a")
    form = FormSubmitted(control="n.d", fields={"reason": "no"}, **BASE)
    assert route(form, TEAM, YOU, task_runs=False) == Press(control="n.d", fields={"reason": "no"})
    event = CommandReceived(name="approve", arguments=("i-1",), **BASE)
    assert route(event, TEAM, YOU, task_runs=False) == Decide(verb=Verb.APPROVE, inquiry="i-1")
    nonsense = CommandReceived(name="frobnicate", **BASE)
    assert isinstance(route(nonsense, TEAM, YOU, task_runs=False), Say)
    asked = CommandReceived(name="ask", arguments=("ship", "it"), **BASE)
    assert route(asked, TEAM, YOU, task_runs=True) == Start(role="ceo", text="ship it")
    shown = CommandReceived(name="inbox", **BASE)
    assert route(shown, TEAM, VIEWER, task_runs=False) == Show(what="inbox")


def test_who_it_is() -> None:
    assert sender_of(TEAM, SENDER) == (YOU, Evidence.ASSERTED)
    assert sender_of(TEAM, Sender(account="telegram:1")) == (YOU, Evidence.VERIFIED)
    assert sender_of(TEAM, Sender(account="telegram:2")) == (None, Evidence.VERIFIED)
    assert sender_of(TEAM, Sender(account="telegram:1", asserted="nobody")) == (None, Evidence.ASSERTED)


@pytest.mark.parametrize(
    ("name", "arguments", "order"),
    [
        ("Approve", ("i-1", "looks", "good"), Decide(verb=Verb.APPROVE, inquiry="i-1", text="looks good")),
        ("approve", (), Decide(verb=Verb.APPROVE)),
        ("deny", ("too", "early"), Decide(verb=Verb.DENY, text="too early")),
        ("answer", ("i-1", "42"), Decide(verb=Verb.ANSWER, inquiry="i-1", text="42")),
        ("edit", ("i-1", '{"a":', "1}"), Decide(verb=Verb.EDIT, inquiry="i-1", text='{"a": 1}')),
        ("ask_back", ("i-1", "why?"), Decide(verb=Verb.ASK_BACK, inquiry="i-1", text="why?")),
        ("happened", ("i-1",), Decide(verb=Verb.HAPPENED, inquiry="i-1")),
        ("give-up", ("i-1",), Decide(verb=Verb.GIVE_UP, inquiry="i-1")),
        ("cancel", ("t-1",), Control(what="cancel", scope="t-1")),
        ("stop", ("all",), Control(what="stop", scope="all")),
        ("task", ("t-1",), Show(what="task", subject="t-1")),
        ("ask", ("do", "it"), Ask(text="do it")),
    ],
)
def test_commands(name: str, arguments: tuple[str, ...], order: object) -> None:
    assert parse(name, arguments) == order


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("edit", ("i-1",)), ("answer", ("i-1",)), ("askback", ()), ("cancel", ()), ("stop", ()), ("ask", ()), ("x", ())],
)
def test_unclear_commands_say_how_they_are_written(name: str, arguments: tuple[str, ...]) -> None:
    said = parse(name, arguments)
    assert isinstance(said, Unclear)
    assert said.say
