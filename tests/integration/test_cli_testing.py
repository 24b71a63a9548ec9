"""`signoff test`, as it is typed."""

from __future__ import annotations

import json
import re

import pytest

from agents import workspace
from benchmarks.rows import program
from bots import cli
from bots.commands import testing
from core.adapters.models.scripted import say

pytestmark = pytest.mark.usefixtures("unlogged")

HELLO = "name: hello\nsay: hello\nexpect: {no_tool: true, ends: done}\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "SIGNOFF_PRESET"):
        monkeypatch.delenv(name, raising=False)
    workspace.init(tmp_path / "acme", "three")
    folder = tmp_path / "acme" / "agents" / "scenarios"
    for path in folder.iterdir():
        if not path.name.startswith(("hello", "deploy.")):
            path.unlink()
    monkeypatch.chdir(tmp_path / "acme")
    return folder


@pytest.fixture
def run(place, capsys):
    def ran(*words):
        code = cli.main(["test", *words])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return ran


def steady(text):
    return re.sub(r"[\d,]+ tokens · \$[\d.]+ · \d+ ms", "N", text)


def test_recordings_are_played_where_there_are_any(run):
    code, out, _ = run()
    assert code == 0
    assert steady(out) == (
        "ok      deploying goes to DevOps, and waits for a person · recorded · 2 turns · N\n"
        "ok      hello is answered by the lead alone · recorded · 1 turn · N\n"
        "2 ok\n"
    )


def test_without_a_recording_the_built_in_model_plays(run, place):
    (place / "new.yaml").write_text(HELLO)
    code, out, _ = run("agents/scenarios/new.yaml")
    assert code == 0
    assert steady(out) == "ok      hello · offline · 1 turn · N\n1 ok\n"


def test_a_failure_shows_what_was_expected_what_was_got_and_what_happened(run, place):
    (place / "new.yaml").write_text("name: ships\nsay: hello\nexpect: {delegation: {to: devops}, ends: waiting}\n")
    code, out, _ = run("agents/scenarios/new.yaml")
    assert code == 1
    lines = [line.strip() for line in out.splitlines()]
    assert lines[1:7] == [
        "expected: delegation somebody -> devops",
        "got:      nothing",
        "expected: ends waiting",
        "got:      done",
        "what happened in agents/scenarios/new.yaml:",
        "somebody says: hello",
    ]
    assert lines[-1] == "1 failed"


def test_json_is_one_object_a_scenario(run, place):
    (place / "new.yaml").write_text(HELLO.replace("ends: done", "ends: failed"))
    code, out, _ = run("--json", "--model", "offline")
    assert code == 1
    told = [json.loads(line) for line in out.splitlines()]
    assert [one["status"] for one in told] == ["ok", "ok", "failed"]
    assert told[2]["misses"] == [{"expected": "ends failed", "got": "done"}]
    assert told[2]["transcript"][0] == "somebody says: hello"
    assert set(told[0]) == {
        *("scenario", "file", "model", "status", "note", "misses", "stale"),
        *("turns", "tokens", "cost_usd", "ms", "transcript"),
    }


def test_only_what_names_a_role(run):
    _, out, _ = run("--role", "devops")
    assert "hello" not in out
    assert "1 ok" in out
    assert "nothing to play" in run("--role", "developer")[1]


def test_what_is_for_another_model_is_skipped_and_says_so(run, place):
    (place / "new.yaml").write_text(HELLO + "models: [real]\n")
    (place / "newer.yaml").write_text(HELLO + "models: [recorded]\n")
    code, out, _ = run("agents/scenarios/new.yaml")
    assert (code, out) == (0, "skipped hello: it is for: real\n1 skipped\n")
    _, out, _ = run("agents/scenarios/newer.yaml", "--model", "recorded")
    assert out == "skipped hello: there is no recording; run with --record\n1 skipped\n"


def test_a_scenario_that_is_wrong_is_refused_with_file_and_line(run, place):
    (place / "new.yaml").write_text("name: n\nsay: hello\nexpects: {}\n")
    (place / "newer.yaml").write_text("name: n\nsay: hello\nto: chef\nexpect: {}\n")
    code, out, err = run()
    assert (code, out) == (5, "")
    assert "signoff: agents/scenarios/new.yaml:1: expect is missing" in err
    assert "signoff: agents/scenarios/new.yaml:3: expects: unknown key" in err
    assert "signoff: agents/scenarios/newer.yaml:3: there is no role chef" in err


def test_a_recording_that_cannot_be_read_is_refused(run, place):
    (place / "hello.recording.json").write_text("{")
    code, _, err = run("agents/scenarios/hello.yaml")
    assert code == 5
    assert "hello.recording.json" in err


def test_no_scenarios_is_an_error_that_says_where_to_read_on(run, tmp_path):
    code, _, err = run(str(tmp_path / "nowhere"))
    assert code == 1
    assert "docs/testing.md" in err


def test_without_a_key_nothing_real_is_played(run):
    code, _, err = run("--model", "real")
    assert code == 1
    assert "there is no key" in err


def test_only_the_real_model_is_recorded(run):
    code, _, err = run("--model", "offline", "--record")
    assert code == 2
    assert "--record" in err


def test_no_tool_may_start_what_costs_money(run, monkeypatch):
    monkeypatch.setattr("agents.tools.spool.inside_a_run", lambda: True)
    assert run("--record")[0] == 4
    assert run("--model", "real")[0] == 4
    assert run()[0] == 0


def test_the_real_model_is_recorded_with_what_it_cost(run, place, monkeypatch):
    (place / "new.yaml").write_text(HELLO)
    bodies = []
    with program.vendor(bodies) as url:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
        code, out, _ = run("agents/scenarios/new.yaml", "--record")
    assert code == 0
    assert out.splitlines()[0].endswith("recorded in new.recording.json")
    assert "; spent $0.0" in out
    assert len(bodies) == 2
    recording = testing.read_recording(place / "new.recording.json")
    assert recording.source.startswith("what claude-sonnet-5-5 said on 20")
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    code, out, _ = run("agents/scenarios/new.yaml")
    assert (code, out.splitlines()[-1]) == (0, "1 ok")
    assert " · recorded · 2 turns" in out


def test_a_model_that_is_waited_for_is_said(capsys):
    testing._say_wait("t-1", "The model is overloaded. Trying again in 1 s.")
    assert capsys.readouterr().err == "The model is overloaded. Trying again in 1 s.\n"


# --- Recording ------------------------------------------------------------------------------------------------------


class Polite:
    async def reply(self, request):
        return say("Good morning.")


async def recorded(place, text, model):
    (place / "new.yaml").write_text(text)
    root = place.parents[1]
    team = testing.team_for("recorded", root, {})
    (one,) = testing.read_all(place / "new.yaml", root, team)
    outcome = await testing.play_one(one, "real", {"real": team}, root, {}, record=True, provider=model)
    return one, outcome, {"recorded": team}


async def test_what_was_recorded_is_played_again(place):
    one, outcome, teams = await recorded(place, HELLO, Polite())
    assert (outcome.status, outcome.note) == ("ok", "recorded in new.recording.json")
    assert testing.read_recording(one.recording).source.startswith("what scripted said on 20")
    again = await testing.play_one(one, None, teams, place.parents[1], {})
    assert (again.status, again.way, again.happened.told) == ("ok", "recorded", ("Good morning.",))


async def test_what_did_not_go_as_it_should_is_not_recorded(place):
    one, outcome, _ = await recorded(place, HELLO.replace("ends: done", "ends: failed"), Polite())
    assert (outcome.status, outcome.note) == ("failed", "not recorded: it did not go as the scenario says")
    assert not one.recording.exists()


async def test_a_recording_that_ends_too_early_fails_and_is_said_to_be_stale(place):
    one, _, teams = await recorded(place, HELLO, Polite())
    one.path.write_text(HELLO.replace("say: hello", "say: [hello, and again]"))
    (one,) = testing.read_all(one.path, place.parents[1], teams["recorded"])
    outcome = await testing.play_one(one, "recorded", teams, place.parents[1], {})
    assert outcome.status == "failed"
    assert outcome.note == "the recording is stale: run with --record"
    assert "of ceo was recorded of another request" in outcome.stale[0]
