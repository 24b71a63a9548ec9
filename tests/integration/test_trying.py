"""Scenarios are played by the real engine, and nothing of it happens outside."""

from __future__ import annotations

import asyncio

import pytest

from agents import workspace
from agents.behaviour import Scenario
from agents.manifest import read
from agents.team import load
from bots.trying import Place, Watched, play
from core.adapters.models.scripted import ScriptedModel, say, use
from tests import small

DELEGATE = use("delegate", to="devops", kind="deployment", objective="Publish the docs")
DEPLOY = use("run_command", command="deploy", args={"site": "docs"})
STATUS = use("run_command", command="status", args={"site": "docs"})
DONE = use("hand_off", summary="It is done")
LIVE = {"ceo": (DELEGATE, say("It is live.")), "devops": (DEPLOY, DONE)}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    root = tmp_path_factory.mktemp("team") / "acme"
    workspace.init(root, "three")
    return root, load(root, environ={"ANTHROPIC_API_KEY": "k"})


@pytest.fixture
def playing(shipped, tmp_path):
    root, team = shipped

    async def played(script, text, *, seconds_max=10.0, model=None):
        document = read(f"name: n\nexpect: {{}}\n{text}", "s.yaml", Scenario)
        assert not document.errors, document.errors
        models = {"anthropic": model or ScriptedModel(script)}
        place = Place(workspace=root, scratch=tmp_path / "scratch", environ={})
        return await play(document.value, team, models, place, seconds_max=seconds_max)

    return played


async def test_an_answer(playing):
    happened = await playing({"ceo": (say("Good morning."),)}, "say: hello")
    assert (happened.ends, happened.told, happened.workers, happened.turns) == ("done", ("Good morning.",), ("ceo",), 1)
    assert happened.tokens == 110
    assert happened.cost_microusd == 100 * 2 + 10 * 10
    assert happened.transcript == (
        "somebody says: hello",
        "ceo says: Good morning.",
        "shown (answer): Good morning.",
    )


async def test_a_gated_call_waits_and_runs_nothing(playing):
    happened = await playing(LIVE, "say: deploy the docs")
    assert (happened.ends, happened.ran, happened.trouble) == ("waiting", (), ())
    (asked,) = happened.asked
    assert (asked.role, asked.tool, asked.verb, asked.tier, asked.state) == (
        *("devops", "run_command", "deploy", "infrastructure", "open"),
    )
    assert [(h.source, h.target, h.kind) for h in happened.handings] == [("ceo", "devops", "deployment")]


async def test_once_approved_the_mock_runs(playing, shipped):
    text = "say: [deploy the docs, {press: approve}]\ntools: {run_command: {text: all went well}}"
    happened = await playing(LIVE, text)
    assert happened.ends == "done"
    assert [(ran.role, ran.tool, ran.arguments["command"]) for ran in happened.ran] == [
        ("devops", "run_command", "deploy")
    ]
    assert any("gave: all went well" in line for line in happened.transcript)
    assert not (shipped[0] / "deployed.log").exists()


async def test_a_denial_is_heard_with_its_reason(playing):
    happened = await playing(LIVE, "say: [deploy the docs, {press: deny, text: never on Fridays}]")
    assert (happened.ran, happened.asked[0].state) == ((), "denied")
    assert any("never on Fridays" in text for text in happened.told)


async def test_a_mock_answers_by_its_arguments_fails_and_may_be_from_outside(playing):
    rows = '[{when: {command: deploy}, text: nothing}, {when: {args: {site: docs}}, fails: "no disk", untrusted: true}]'
    seen = []

    def devops(request):
        seen.extend(text for message in request.messages for _, text, _ in message.results)
        return DONE if seen else STATUS

    happened = await playing({**LIVE, "devops": devops}, f"say: which docs are live?\ntools: {{run_command: {rows}}}")
    assert happened.ends == "done"
    assert "FAILED: run_command failed\nWhy: no disk" in seen[0]
    seen.clear()
    rows = rows.replace('fails: "no disk"', "text: version 12")
    await playing({**LIVE, "devops": devops}, f"say: which docs are live?\ntools: {{run_command: {rows}}}")
    assert seen[0] == "<untrusted>\nversion 12\n</untrusted>"


async def test_file_tools_work_in_a_folder_of_their_own(playing, shipped):
    give = use("delegate", to="developer", kind="writing", objective="Notes")
    read_it, write_it = use("read_file", path="shared/a.md"), use("write_file", path="shared/b.md", content="b")
    script = {
        "ceo": (give, say("Written.")),
        "developer": (read_it, write_it, use("read_file", path="shared/b.md"), DONE),
    }
    happened = await playing(script, "say: notes, please\nfiles: {shared/a.md: what was there}")
    assert [ran.tool for ran in happened.ran] == ["read_file", "write_file", "read_file"]
    assert any("what was there" in line for line in happened.transcript)
    assert not (shipped[0] / "files" / "shared" / "b.md").exists()


async def test_what_a_scenario_names_is_real(playing, shipped):
    script = {"ceo": (DELEGATE, say("Version 12.")), "devops": (STATUS, DONE)}
    happened = await playing(script, "say: which docs are live?\nreal_tools: [run_command]")
    assert any("run_command" in line and "exit 0" in line for line in happened.transcript), happened.transcript


async def test_what_cannot_be_real_is_said(playing):
    happened = await playing({"ceo": (say("Hello."),)}, "say: hello\nreal_tools: [hand_off]")
    assert happened.trouble == ("hand_off cannot be real in a scenario",)


async def test_what_a_role_does_not_have_does_not_run(playing):
    script = {"ceo": (STATUS, say("I cannot."))}
    happened = await playing(script, "say: run it yourself")
    assert (happened.ran, happened.ends) == ((), "done")  # the lead has no such tool


async def test_a_mocked_tool_has_nothing_to_stop():
    ran = []
    tool = Watched(spec=small.LOOK, ran=ran, note=ran.append)
    await tool.cancel("attempt")
    assert (tool.remembers, ran) == (False, [])
    inner = Stoppable()
    tool = Watched(spec=small.LOOK, ran=ran, note=ran.append, inner=inner)
    await tool.cancel("attempt")
    assert (tool.remembers, inner.stopped) == (True, ["attempt"])


class Stoppable:
    remembers = True

    def __init__(self):
        self.stopped = []

    async def cancel(self, attempt):
        self.stopped.append(attempt)


async def test_time_passes_when_it_is_told_to(playing):
    happened = await playing(LIVE, "say: [deploy the docs, {wait: 3d}]")
    assert happened.ends == "waiting"
    assert "3d pass" in happened.transcript
    assert len(happened.transcript) > happened.transcript.index("3d pass") + 1  # it is overdue, and that is said


async def test_what_cannot_be_pressed_is_trouble_and_the_rest_is_played(playing):
    happened = await playing({"ceo": (say("Hello."),)}, "say: [{press: approve}, hello]")
    assert happened.trouble == ("nothing is open to approve",)
    assert happened.told == ("Hello.",)


async def test_a_word_of_the_constitution_ends_it_with_a_person(playing):
    happened = await playing({}, "say: I want a refund")
    assert (happened.ends, happened.turns, happened.answers_n) == ("handed_over", 0, 0)


async def test_a_model_that_fails_is_an_end_not_an_error(playing):
    happened = await playing({}, "say: hello")
    assert happened.ends == "failed"
    assert happened.answers_n == 1


class Hanging:
    async def reply(self, request):
        await asyncio.Event().wait()


async def test_what_never_comes_to_rest_is_trouble(playing):
    happened = await playing({}, "say: hello", model=Hanging(), seconds_max=0.3)
    assert happened.trouble == ("it did not come to rest within 0.3 s",)
    assert happened.ends == "waiting"


class Broken:
    async def reply(self, request):
        raise ZeroDivisionError("a bug")


async def test_a_breakdown_of_the_engines_own_is_trouble(playing):
    happened = await playing({}, "say: hello", model=Broken(), seconds_max=1.0)
    assert any("effect" in line or "bug" in line for line in happened.trouble), happened.trouble
