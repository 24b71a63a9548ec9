from __future__ import annotations

import pytest

from agents.behaviour import Asked, Handing, Happened, Ran, Scenario, contains, judge, read_scenario, seconds_of
from agents.manifest import read
from core.model.inquiries import InquiryState, Kind
from core.model.team import Tier
from tests import small

TEAM = small.team()
DEPLOYED = Happened(
    ends="done",
    answers_n=1,
    told=("It is live.", "Approved by You"),
    handings=(Handing(source="boss", target="ops", kind="deployment"),),
    ran=(Ran(role="ops", tool="run_command", arguments={"command": "deploy", "args": {"site": "docs", "fast": True}}),),
    asked=(
        Asked(
            role="ops",
            kind=Kind.APPROVAL,
            tier=Tier.INFRASTRUCTURE,
            state=InquiryState.APPROVED,
            tool="run_command",
            verb="deploy",
        ),
    ),
    workers=("ops",),
    turns=4,
    tokens=900,
    cost_microusd=20_000,
)
QUIET = Happened(ends="done", answers_n=1, told=("Hello.",), workers=("boss",), turns=1)


def scenario(expect, say="say: hello"):
    document = read(f"name: n\n{say}\nexpect:\n{expect}", "s.yaml", Scenario)
    assert not document.errors, document.errors
    return document.value


def misses(expect, happened=DEPLOYED):
    return [(miss.expected, miss.got) for miss in judge(scenario(expect), happened)]


MET = """
  delegation: {to: ops, kind: deployment, from: boss}
  tool: {name: run_command, role: ops, arguments: {command: deploy, args: {site: docs}}}
  no_tool: [write_file]
  inquiry: {kind: approval, tier: infrastructure, verb: deploy, tool: run_command, role: ops, state: approved}
  inquiries: 1
  answer: {contains: [LIVE], lacks: [failed]}
  cost_under: 0.03
  turns_under: 5
  ends: done
  nobody_else: true
"""


def test_what_was_expected_and_happened_is_met():
    assert misses(MET) == []


@pytest.mark.parametrize(
    ("expect", "expected", "got"),
    [
        ("delegation: {to: dev}", "delegation somebody -> dev", "boss -> ops (deployment)"),
        ("delegation: [{to: ops}, {to: ops, kind: incident}]", "delegation somebody -> ops (incident)", "boss -> ops"),
        ("delegation: {to: ops, from: dev}", "delegation dev -> ops", "boss -> ops"),
        ("no_delegation: true", "no delegation", "boss -> ops (deployment)"),
        ("tool: {name: fetch}", "tool fetch", "ops: run_command"),
        ("tool: {name: run_command, arguments: {args: {site: x}}}", 'tool run_command {"args"', "ops: run_command"),
        ("tool: {name: run_command, role: dev}", "tool run_command", "ops: run_command"),
        ("no_tool: true", "no tool", "ops: run_command"),
        ("no_tool: [run_command]", "no tool run_command", "ops: run_command"),
        ("inquiry: {tier: external}", "inquiry {tier: external}", "ops: approval run_command"),
        ("inquiry: {state: open}", "inquiry {state: open}", "(infrastructure, approved)"),
        ("inquiry: {kind: question}", "inquiry {kind: question}", "ops: approval"),
        ("no_inquiry: true", "no inquiry", "ops: approval"),
        ("inquiries: 2", "2 inquiries", "1: ops"),
        ("refusal: {words: [cannot]}", "nobody acts", "run_command"),
        ("answer: {contains: [live, by ship]}", "it is said: by ship", "It is live. Approved"),
        ("answer: {lacks: [live]}", "nothing said of live", "It is live."),
        ("cost_under: 0.02", "costs under $0.02", "$0.0200"),
        ("turns_under: 4", "under 4 turns", "4"),
        ("ends: waiting", "ends waiting", "done"),
    ],
)
def test_what_was_not_met_says_what_was_expected_and_what_happened(expect, expected, got):
    (first, *_) = misses(f"  {expect}")
    assert first[0].startswith(expected)
    assert got in first[1]


def test_a_refusal_is_words_and_nobody_who_acts():
    assert misses("  refusal: {words: [hello]}", QUIET) == []
    assert misses("  refusal: {words: [sorry]}", QUIET) == [("it is said: sorry", "Hello.")]


def test_an_open_inquiry_is_one_that_people_can_still_decide():
    asked = Asked(role="ops", kind=Kind.QUESTION, tier=Tier.INTERNAL, state=InquiryState.COLLECTING, question="Which?")
    happened = Happened(ends="waiting", asked=(asked,))
    assert misses("  inquiry: {kind: question, state: open}", happened) == []
    assert misses("  inquiry: {state: denied}", happened) == [
        ("inquiry {state: denied}", "ops: question Which? (internal, collecting)")
    ]


@pytest.mark.parametrize(
    ("workers", "answers_n", "requests_n", "met"),
    [(("ops",), 1, 1, True), (("ops", "dev"), 1, 1, False), (("ops", "ops"), 1, 1, False), (("ops",), 2, 1, False)],
)
def test_exactly_one_role_answers(workers, answers_n, requests_n, met):
    happened = Happened(ends="done", workers=workers, answers_n=answers_n, requests_n=requests_n)
    assert (misses("  nobody_else: true", happened) == []) is met


def test_what_could_not_be_played_is_a_miss():
    happened = Happened(ends="done", trouble=("nothing is open to deny",))
    assert misses("  no_tool: true", happened) == [("the scenario can be played", "nothing is open to deny")]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("2h", 7200), ("1d", 86400), ("5m", 300), ("2", None), ("h", None), ("-1h", None)],
)
def test_spans(text, seconds):
    assert seconds_of(text) == seconds


def test_a_part_is_looked_for_at_any_depth_and_lists_are_compared_whole():
    assert contains({"a": {"b": 1, "c": 2}, "d": [1, 2]}, {"a": {"b": 1}, "d": [1, 2]})
    assert not contains({"d": [1, 2]}, {"d": [1]})
    assert not contains("x", {"a": 1})


# --- Files ----------------------------------------------------------------------------------------------------------


def errors_of(tmp_path, text):
    path = tmp_path / "s.yaml"
    path.write_text(text, "utf-8")
    return [str(error) for error in read_scenario(path, "s.yaml", TEAM).errors]


GOOD = """\
name: n
say:
  - hello
  - {say: and you, to: ops, by: you}
  - {wait: 2h}
  - {press: deny, text: not now}
expect:
  no_tool: true
"""


def test_turns_may_be_text_or_more(tmp_path):
    assert errors_of(tmp_path, GOOD) == []
    assert [turn.say for turn in scenario("  no_tool: true", "say: [hello, {say: there}]").turns] == ["hello", "there"]
    assert scenario("  no_tool: true", "say: hello\nto: ops").turns[0].to == "ops"


@pytest.mark.parametrize(
    ("change", "line", "what"),
    [
        (("{wait: 2h}", "{wait: soon}"), 5, "wait: 'soon'"),
        (("{wait: 2h}", "{wait: 2h, say: hello}"), 5, "2 of say, press and wait"),
        (("{wait: 2h}", "{text: hello}"), 5, "0 of say, press and wait"),
        (("to: ops", "to: nobody"), 4, "there is no role nobody"),
        (("by: you", "by: someone"), 4, "there is no person someone"),
        (("no_tool: true", "no_tool: [telnet]"), 8, "there is no tool telnet"),
        (("no_tool: true", "tool: {name: telnet}"), 8, "there is no tool telnet"),
        (("no_tool: true", "inquiry: {tool: telnet}"), 8, "there is no tool telnet"),
        (("no_tool: true", "delegation: {to: nobody}"), 8, "there is no role nobody"),
        (("no_tool: true", "delegations: 2"), 8, "delegations: unknown key"),
        (("no_tool: true", "ends: happily"), 8, "ends: 'happily'"),
        (("press: deny", "press: refuse"), 6, "press: 'refuse'"),
        (("name: n", "name: n\ntools: {telnet: {text: x}}"), 2, "there is no tool telnet"),
        (("name: n", "name: n\nreal_tools: [telnet]"), 2, "there is no tool telnet"),
        (("name: n", "name: n\nfiles: {../x: y}"), 2, "../x is no path below files/"),
        (("name: n", "name: n\nmodels: [best]"), 2, "'best'"),
    ],
)
def test_every_error_has_its_line(tmp_path, change, line, what):
    (error, *_) = errors_of(tmp_path, GOOD.replace(*change))
    assert error.startswith(f"s.yaml:{line}: "), error
    assert what in error


def test_a_scenario_in_which_nothing_is_said_is_none(tmp_path):
    assert "nothing is said" in errors_of(tmp_path, "name: n\nsay: []\nexpect: {no_tool: true}\n")[0]
