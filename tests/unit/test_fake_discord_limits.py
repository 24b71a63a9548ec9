"""What the fake Discord refuses, whom it calls, and what people read on it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.discord.limits import COMPONENTS_V2, message_errors, modal_errors
from tests.fakes.discord.reading import pings, plain


def _v2(*components: dict[str, Any]) -> dict[str, Any]:
    return {"flags": COMPONENTS_V2, "components": list(components)}


TEXT = {"type": 10, "content": "x"}


def _row(*ids: str) -> dict[str, Any]:
    return {"type": 1, "components": [{"type": 2, "style": 1, "label": "go", "custom_id": some} for some in ids]}


@pytest.mark.parametrize(
    ("body", "fine"),
    [
        ({"content": "😀" * 2000}, True),
        ({"content": "x" * 2001}, False),
        ({"content": "x", "nonce": "n" * 25}, True),
        ({"content": "x", "nonce": "n" * 26}, False),
        ({"embeds": [{"description": "x" * 4096}]}, True),
        ({"embeds": [{"description": "x" * 4097}]}, False),
        ({"embeds": [{"description": "x" * 3001}, {"description": "x" * 3000}]}, False),
        (_v2(TEXT, _row("a", "b", "c", "d", "e")), True),
        (_v2(TEXT, _row("a", "b", "c", "d", "e", "f")), False),
        (_v2(TEXT, _row("a", "a")), False),
        (_v2(_row("x" * 100)), True),
        (_v2(_row("x" * 101)), False),
        (_v2(TEXT) | {"content": "x"}, False),
        ({"components": [TEXT]}, False),
        ({"components": [_row("a")]}, True),
        (_v2(*[TEXT] * 40), True),
        (_v2(*[TEXT] * 41), False),
        (_v2({"type": 10, "content": "x" * 4000}), True),
        (_v2({"type": 10, "content": "x" * 4001}), False),
        (_v2({"type": 17, "components": [TEXT, {"type": 17, "components": [TEXT]}]}), False),
        (_v2({"type": 9, "components": [TEXT]}), False),
        (_v2({"type": 9, "components": [TEXT], "accessory": _row("a")["components"][0]}), True),
        ({"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}}, False),
    ],
)
def test_what_a_message_may_be(body: dict[str, Any], fine: bool) -> None:
    assert (message_errors(body) == {}) is fine, message_errors(body)


def _modal(title: str, *inputs: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "custom_id": "m", "components": list(inputs)}


def _input(custom_id: str, label: str = "Why", **more: Any) -> dict[str, Any]:
    return {"type": 1, "components": [{"type": 4, "style": 1, "custom_id": custom_id, "label": label} | more]}


@pytest.mark.parametrize(
    ("modal", "fine"),
    [
        (_modal("t" * 45, *[_input(str(n), "l" * 45) for n in range(5)]), True),
        (_modal("t" * 46, _input("a")), False),
        (_modal("t"), False),
        (_modal("t", *[_input(str(n)) for n in range(6)]), False),
        (_modal("t", _input("a", "l" * 46)), False),
        (_modal("t", _input("a"), _input("a")), False),
        (_modal("t", _input("a", value="v" * 11, max_length=10)), False),
        (_modal("t", {"type": 18, "label": "L", "component": {"type": 4, "style": 2, "custom_id": "a"}}), True),
        (_modal("t", {"type": 18, "label": "L", "component": {"type": 2, "style": 2, "custom_id": "a"}}), False),
    ],
)
def test_what_a_modal_may_be(modal: dict[str, Any], fine: bool) -> None:
    assert (modal_errors(modal) == {}) is fine, modal_errors(modal)


@pytest.mark.parametrize(
    ("message", "called"),
    [
        ({"content": "@everyone <@1> <@&2>"}, ("everyone", "1", "role:2")),
        ({"content": "@everyone <@1> <@&2>", "allowed_mentions": {"parse": []}}, ()),
        ({"content": "@here <@1> <@3>", "allowed_mentions": {"parse": [], "users": ["1"]}}, ("1",)),
        ({"content": "`<@1>` ```\n@everyone\n```"}, ()),
        ({"components": [{"type": 17, "components": [{"type": 10, "content": "<@1>"}]}]}, ("1",)),
        ({"embeds": [{"description": "@everyone"}]}, ()),
    ],
)
def test_who_is_called(message: dict[str, Any], called: tuple[str, ...]) -> None:
    assert pings(message, "") == called


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("**bold** *it* __under__ ~~no~~ snake_case_name", "bold it under no snake_case_name"),
        (r"\*not\* \@here \\ ok", r"*not* @here \ ok"),
        ("```py\na * b * c\n```", "a * b * c"),
        ("# Title\n> quoted\n-# small", "Title\nquoted\nsmall"),
        ("[here](https://example.org) <@7> <#8>", "here @user-7 #channel-8"),
        ("`**raw**`", "**raw**"),
    ],
)
def test_what_people_read(text: str, read: str) -> None:
    assert plain(text, lambda kind, some: f"{kind}-{some}") == read
