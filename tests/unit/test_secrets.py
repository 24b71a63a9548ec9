"""Which arguments are secret, by their schema."""

from __future__ import annotations

import msgspec
import pytest

from core.model.inquiries import Verb
from core.model.team import Tier, ToolSpec
from core.rules import notes
from core.rules.actions import act_of
from core.rules.canonical import action_digest
from core.rules.policy import gates_of
from core.rules.secrets import redacted, secrets_of
from core.rules.words import REDACTED
from tests.rules_kit import COMMANDS, PRINTS, Desk, approval, team

HIDDEN = {"type": "string", "writeOnly": True}
PLAIN = {"type": "string"}


def of(**properties):
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("schema", "arguments", "secrets"),
    [
        (of(a=PLAIN), {"a": "x"}, ()),
        (of(a={"writeOnly": "yes"}, b=True), {"a": "x"}, ()),
        (of(a=HIDDEN), {}, ("a",)),
        (of(auth=of(key=HIDDEN, name=PLAIN)), {"auth": {"key": "x"}}, ("auth.key",)),
        (of(auth=of(key=HIDDEN)), {}, ("auth.key",)),
        (of(all={"items": of(pin=HIDDEN)}), {"all": [{"pin": "1"}, 2]}, ("all.pin",)),
        (of(all={"items": [PLAIN, HIDDEN]}), {"all": ["a", "b"]}, ("all",)),
        (of(a={"anyOf": [PLAIN, {"allOf": [HIDDEN]}]}), {"a": "x"}, ("a",)),
        (of(a={"if": PLAIN, "then": HIDDEN}), {"a": "x"}, ("a",)),
        ({"additionalProperties": HIDDEN, **of(a=PLAIN)}, {"a": "x", "b": "y"}, ("b",)),
        ({"patternProperties": {"^k": HIDDEN}, "properties": []}, {"a": "x", "key": "y"}, ("key",)),
        ({"definitions": {"k/~": HIDDEN}, **of(a={"$ref": "#/definitions/k~1~0"})}, {"a": "x"}, ("a",)),
        (of(a={"$ref": "#/nowhere/at/all"}), {"a": "x"}, ("a",)),
        (of(a={"$ref": "other.json"}), {"a": "x"}, ("a",)),
        (
            {"properties": {"next": {"$ref": "#"}, "pin": HIDDEN}},
            {"next": {"next": {}}},
            ("next.next.pin", "next.pin", "pin"),
        ),
        ({"allOf": [{"$ref": "#"}], **of(a=HIDDEN)}, {"a": "x"}, ("a",)),
    ],
)
def test_what_is_marked_is_secret_at_any_depth(schema, arguments, secrets):
    assert secrets_of(schema, arguments) == secrets


def test_people_read_all_but_the_secrets():
    assert redacted({"a": 1, "b": {"pin": "123"}}, ("args.b.pin",), "args") == {"a": 1, "b": {"pin": REDACTED}}
    assert redacted({"l": [{"pin": "1"}, 2]}, ("l.pin",)) == {"l": [{"pin": REDACTED}, 2]}


SHIP = msgspec.structs.replace(
    COMMANDS["ship"], argv=("./ship.sh", "{site}", "{pin}"), args={"site": PLAIN, "pin": HIDDEN}
)
OF = team(commands={**COMMANDS, "ship": SHIP})


def shipping(pin="123"):
    return {"command": "ship", "args": {"site": "docs", "pin": pin}}


def ship(pin="123"):
    return act_of(OF, "devops", "run_command", shipping(pin), PRINTS).action


def test_case_29_a_commands_secret_is_in_no_sentence_and_bound():
    action = ship()
    assert action.secrets == ("args.pin",)
    assert action.says == f'Runs ./ship.sh docs "{REDACTED}" on this machine'
    assert action.arguments["args"]["pin"] == "123"
    assert action_digest(action) != action_digest(ship("124"))


def test_case_29_a_secret_cannot_be_edited():
    asked = approval(OF, tool="run_command", arguments=shipping())
    assert asked.editable == ("args.site",)
    desk = Desk(OF, asked)
    outside = desk.press("bob", Verb.EDIT, edit={"args.pin": "9"})
    assert outside.note == f"{notes.INVALID_EDIT}: args.pin cannot be changed."


@pytest.mark.parametrize("pin", ["7", "abc", "1234", ""])
def test_a_resource_names_no_secret_however_short(pin):
    command = msgspec.structs.replace(SHIP, resource="safe:{site}:{pin}")
    act = act_of(team(commands={**COMMANDS, "ship": command}), "devops", "run_command", shipping(pin), PRINTS)
    assert act.action.resource == f"safe:docs:{REDACTED}"
    spec = ToolSpec(name="odd", about="", parameters=of(pin=HIDDEN), resource="pin:{pin}", tier=Tier.EXTERNAL)
    odd = act_of(team(tools={"odd": spec}), "devops", "odd", {"pin": pin}, {})
    assert odd.action.resource == f"pin:{REDACTED}"
    assert odd.action.arguments == {"pin": pin}


def test_a_word_in_a_hidden_resource_is_found_all_the_same():
    spec = ToolSpec(name="odd", about="", parameters=of(at=HIDDEN), resource="at:{at}", tier=Tier.INTERNAL)
    of_team = team(tools={"odd": spec})
    for at, asked in (("production", True), ("elsewhere", False)):
        act = act_of(of_team, "devops", "odd", {"at": at}, {})
        found = gates_of(of_team, "devops", act, gated=False, untrusted=False)
        assert (found is not None) is asked
        assert "production" not in act.action.resource
