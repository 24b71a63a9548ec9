"""The shipped teams behave as their scenarios say, with the committed recordings and with the built-in model.

The recordings come from a stand-in that is written by hand (tests/standin.py): they hold the engine, the gates, the
matrix and the schemas to the scenarios, and say nothing about any model.
"""

from __future__ import annotations

import msgspec
import pytest

from agents import workspace
from bots.commands import testing
from core.adapters.models.recorded import Recording
from tests import standin

TEAMS = tuple(standin.FOLDERS)
LEAST = 12


@pytest.fixture(params=TEAMS)
def team(request):
    return request.param


async def played(root, way):
    teams = {way: testing.team_for(way, root, {})}
    plays = testing.read_all(root / "agents" / "scenarios", root, teams[way])
    return [await testing.play_one(one, way, teams, root, {}) for one in plays]


def report(outcomes):
    return "\n".join(line for outcome in outcomes for line in testing.lines_of(outcome))


async def test_every_scenario_goes_as_it_says_from_its_recording(team, tmp_path):
    workspace.init(tmp_path / "acme", team)
    outcomes = await played(tmp_path / "acme", "recorded")
    assert len(outcomes) >= LEAST
    assert {outcome.status for outcome in outcomes} <= {"ok", "stale"}, report(outcomes)


async def test_no_recording_is_stale(team, tmp_path):
    """After a prompt, a tool's schema or a scenario has changed: `python -m tests.standin`."""
    workspace.init(tmp_path / "acme", team)
    outcomes = await played(tmp_path / "acme", "recorded")
    assert not [outcome.name for outcome in outcomes if outcome.status == "stale"], "run python -m tests.standin"


async def test_what_is_meant_for_the_built_in_model_goes_as_it_says(team, tmp_path):
    workspace.init(tmp_path / "acme", team)
    outcomes = await played(tmp_path / "acme", "offline")
    assert not [outcome for outcome in outcomes if outcome.status == "failed"], report(outcomes)
    assert sum(outcome.status == "ok" for outcome in outcomes) >= 5


async def test_the_recordings_are_what_the_stand_in_says_and_say_so(team, tmp_path):
    outcomes = await standin.record(team, tmp_path / "acme")
    assert {outcome.status for outcome in outcomes} == {"ok"}, report(outcomes)
    again = await played(tmp_path / "acme", "recorded")
    assert {outcome.status for outcome in again} == {"ok"}, report(again)
    for path in standin.FOLDERS[team].glob("*.recording.json"):
        recording = msgspec.json.decode(path.read_bytes(), type=Recording)
        assert recording.source == standin.SOURCE, "a real recording: then this test has done its work"


def test_every_scenario_has_a_recording_for_both_teams():
    names = {path.stem for path in standin.PACKAGED.glob("*.yaml")}
    assert names == set(standin.SCRIPTS)
    for folder in standin.FOLDERS.values():
        assert {path.name.removesuffix(".recording.json") for path in folder.glob("*.json")} == names


async def test_a_changed_prompt_makes_the_recording_stale_and_says_what_to_do(tmp_path):
    root = tmp_path / "acme"
    workspace.init(root, "three")
    soul = root / "agents" / "ceo" / "SOUL.md"
    soul.write_text(soul.read_text("utf-8").replace("Calm and concrete", "Calm, concrete"), "utf-8")
    outcomes = {outcome.file: outcome for outcome in await played(root, "recorded")}
    hello = outcomes["agents/scenarios/hello.yaml"]
    assert (hello.status, hello.note) == ("stale", "the recording is stale: run with --record")
    assert hello.stale == ("turn 0 of ceo was recorded of another request",)
    assert not [outcome for outcome in outcomes.values() if outcome.status == "failed"]


def test_a_workspace_has_the_scenarios_of_its_team(team, tmp_path):
    workspace.init(tmp_path / "acme", team)
    there = {path.name: path.read_bytes() for path in (tmp_path / "acme" / "agents" / "scenarios").iterdir()}
    packaged = [*standin.PACKAGED.glob("*.yaml"), *standin.FOLDERS[team].glob("*.json")]
    assert there == {path.name: path.read_bytes() for path in packaged}
