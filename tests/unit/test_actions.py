"""From a tool call to the action it would be."""

import msgspec
import pytest

from core.model.inquiries import Action
from core.model.team import Command, EffectClass, Tier, ToolSpec
from core.model.work import Failure
from core.rules.actions import Act, act_of, fill, text_of
from tests.rules_kit import COMMANDS, PRINTS, PROGRAM, TOOLS, ship_act, team

TEAM = team()


def test_a_command_is_its_arguments_resource_program_and_words():
    act = ship_act(TEAM)
    assert act == Act(
        action=Action(
            tool="run_command",
            arguments={"command": "ship", "args": {"site": "landing", "note": ""}},
            resource="site:landing",
            verb="ship",
            effect=EffectClass.ONCE,
            fingerprint=PROGRAM,
            says="Runs ./ship.sh landing on this machine",
        ),
        tier=Tier.INFRASTRUCTURE,
        effect=EffectClass.ONCE,
        seconds_max=120,
        path="./ship.sh",
    )


def test_a_command_takes_its_own_tier_and_words():
    act = ship_act(TEAM, arguments={"command": "status"})
    assert (act.tier, act.effect, act.action.resource) == (Tier.READ, EffectClass.READ, "status")
    assert act.action.says == "Looks at the sites"
    assert act.action.arguments == {"command": "status", "args": {}}


def test_a_tool_is_its_spec_filled_in():
    act = ship_act(TEAM, "write_file", {"path": "notes/a.md"})
    assert act.action == Action(
        tool="write_file",
        arguments={"path": "notes/a.md", "content": ""},
        resource="file:notes/a.md",
        verb="write",
        effect=EffectClass.IDEMPOTENT,
        says="Uses write_file",
    )
    assert act.path == "notes/a.md"
    mail = ship_act(TEAM, "send_mail", {"to": "x"})
    assert (mail.action.resource, mail.action.verb, mail.path) == ("send_mail", "send_mail", "")


@pytest.mark.parametrize(
    ("role", "tool", "arguments", "what", "helps"),
    [
        ("ghost", "write_file", {}, "ghost cannot use write_file", "Ask a person"),
        ("qa", "write_file", {}, "qa may not use write_file", "Ask the role you report to"),
        ("devops", "rm", {}, "devops may not use rm", "read_file, write_file, send_mail, run_command"),
        ("devops", "run_command", {"command": "other"}, "devops may not run the command other", "ship, status"),
        ("devops", "run_command", {}, "devops may not run a command that it does not name", "ship, status"),
        ("devops", "run_command", None, "devops may not run a command that it does not name", "ship, status"),
        ("devops", "run_command", {"command": ["ship"]}, "devops may not run a command that it", "ship, status"),
        ("devops", "run_command", {"command": "ship"}, "the arguments of ship are not valid", "corrected"),
        ("devops", "run_command", {"command": "status", "x": 1}, "the arguments of status are not valid", "corrected"),
        ("devops", "write_file", {"path": 3}, "the arguments of write_file are not valid", "corrected"),
    ],
)
def test_refusals_name_what_is_allowed(role, tool, arguments, what, helps):
    failure = act_of(TEAM, role, tool, arguments, PRINTS)
    assert isinstance(failure, Failure)
    assert failure.what.startswith(what)
    assert helps in failure.recovery


@pytest.mark.parametrize("prints", [{}, {"ship": ""}])
def test_a_missing_program_is_said(prints):
    failure = act_of(TEAM, "devops", "run_command", {"command": "ship", "args": {"site": "docs"}}, prints)
    assert failure.why == "its program is missing: ./ship.sh"


def test_a_command_without_a_program_is_missing_one():
    roles = {**TEAM.roles, "devops": msgspec.structs.replace(TEAM.roles["devops"], commands=("other",))}
    failure = act_of(msgspec.structs.replace(TEAM, roles=roles), "devops", "run_command", {"command": "other"}, {})
    assert failure.why == "its program is missing: none is named"


def test_templates_take_names_only_and_never_look_twice():
    arguments = {"a": "{b}", "b": 2, "c": {"x": True}}
    assert fill("{a} {b} {c} {d} {a.__class__} {b!r} {b:>9} {{b}}", arguments) == (
        '{b} 2 {"x":true} {d} {a.__class__} {b!r} {b:>9} {2}'
    )
    assert text_of(True) == "true"


def test_words_with_blanks_are_shown_quoted_and_a_path_is_kept():
    command = Command(name="ship", argv=("./ship.sh", "{path}", "{path}"), args={"path": {"type": "string"}})
    of = team(commands={"ship": command})
    act = ship_act(of, arguments={"command": "ship", "args": {"path": "a b\n"}})
    assert act.action.says == 'Runs ./ship.sh "a b\\n" "a b\\n" on this machine'
    assert act.path == "./ship.sh a b"


def test_a_default_that_has_no_text_is_a_failure_and_not_a_crash():
    odd = ToolSpec(
        name="odd", about="", parameters={"properties": {"n": {"default": 2**60}}}, resource="{n}", tier=Tier.READ
    )
    assert isinstance(act_of(team(tools={"odd": odd}), "devops", "odd", {}, {}), Failure)
    huge = ToolSpec(name="odd", about="", parameters={}, resource="{n}", tier=Tier.READ)
    assert ship_act(team(tools={"odd": huge}), "odd", {"n": 7}).action.resource == "7"


def test_everything_in_the_kit_is_an_act():
    assert set(TEAM.roles["devops"].tools) == set(TOOLS)
    assert set(COMMANDS) > set(TEAM.roles["devops"].commands)
