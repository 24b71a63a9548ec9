"""The inbox, several approved at once, past decisions, the day, the policy and the record, from the command line."""

import json
import re
import shutil
import stat

import pytest

from tests.integration.test_cli import DEPLOY, environment, here, ok, refused, rows

BO = "  - {id: bo, name: Bo, role: approver}\n"


@pytest.fixture(scope="module", autouse=True)
def _no_compiled_files_stay():
    yield
    shutil.rmtree(environment()["PYTHONPYCACHEPREFIX"], ignore_errors=True)


@pytest.fixture
def workspace(tmp_path):
    where = tmp_path / "ws"
    ok(tmp_path, "init", str(where))
    return where


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Only to be copied: two deployments wait."""
    where = tmp_path_factory.mktemp("inbox") / "ws"
    ok(where.parent, "init", str(where))
    for _ in range(2):
        ok(where, "say", DEPLOY)
    ok(where, "run", typed="")
    return where


@pytest.fixture
def two(both, tmp_path):
    where = shutil.copytree(both, tmp_path / "two")
    first, second = (row["id"] for row in rows(where, "inbox"))
    return where, first, second


def manifest_of(workspace, old, new):
    path = workspace / "agents" / "team.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def two_people(workspace):
    one = "  - {id: you, name: You, role: owner}\n"
    manifest_of(workspace, one, one + BO)


def test_the_inbox_can_be_filtered(two):
    where, first, second = two
    assert [row["id"] for row in rows(where, "inbox", "--mine")] == [first, second]
    assert [row["id"] for row in rows(where, "inbox", "--tier", "infrastructure")] == [first, second]
    assert rows(where, "inbox", "--overdue") == rows(where, "inbox", "--tier", "external") == []
    two_people(where)
    assert rows(where, "inbox", "--mine", "--as", "bo") == []
    refused(here(where, "inbox", "--mine", "--as", "eve"), 4, "there is no person eve")
    refused(here(where, "inbox", "--as", "eve"), 4, "there is no person eve")


def test_several_are_approved_at_once_by_who_has_seen_them(two):
    where, first, second = two
    ok(where, "inbox")
    said = ok(where, "approve", first, second, "--reason", "both fine")
    assert said.count("Approved.") == 2
    assert said.endswith("What is approved runs when signoff is up.\n")
    assert rows(where, "inbox") == []
    ok(where, "run", typed="")
    assert len((where / "deployed.log").read_text().splitlines()) == 2


def test_one_that_was_not_seen_refuses_all(two):
    where, first, second = two
    ok(where, "view", first)
    done = here(where, "approve", first, second)
    assert done.returncode == 1
    assert "Nothing was approved" in done.stderr
    assert re.search(rf"{second[:6]}: You have not seen it yet", done.stderr)
    assert first[:6] not in done.stderr
    assert len(rows(where, "inbox")) == 2


def test_what_an_agent_looks_at_nobody_has_seen(two):
    where, first, second = two
    for words in (["inbox"], ["view", first], ["view", second]):
        assert here(where, *words, SIGNOFF_ATTEMPT="t-1:1:e0").returncode == 0
    assert "You have not seen it yet" in here(where, "approve", first, second).stderr
    refused(here(where, "approve", first, second, SIGNOFF_ATTEMPT="t-1:1:e0"), 4, "agents do not decide")


def test_past_decisions_are_searched(two):
    where, first, second = two
    assert ok(where, "decisions") == "Nothing like that was decided.\n"
    ok(where, "deny", first, "--reason", "the page is not ready")
    ok(where, "view", second)
    ok(where, "approve", second)
    said = ok(where, "decisions")
    assert said.index(second[:6]) < said.index(first[:6])
    assert re.search(r"Denied by You at .{1,12}: the page is not ready", said)
    for words in (["--what", "READY deploy"], ["--state", "denied"], ["--who", "you", "--what", "ready"]):
        found = ok(where, "decisions", *words)
        assert first[:6] in found
        assert second[:6] not in found
    assert ok(where, "decisions", "-n", "1").count("asks to run") == 1
    assert ok(where, "decisions", "--since", "2020-01-31T09:00Z").count("asks to run") == 2
    assert "Nothing" in ok(where, "decisions", "--since", "2100-01-01")
    refused(here(where, "decisions", "--since", "yesterday"), 2, "yesterday is no date", "2026-01-31")


def test_the_day_is_printed_with_the_head_of_the_chain(two):
    where, first, _ = two
    said = ok(where, "digest")
    assert "Waiting on you: 2" in said
    assert first[:6] in said
    head = re.search(r"^Audit head: (\d+:[0-9a-f]{64})$", said, re.MULTILINE)
    assert head
    assert "the chain is whole" in ok(where, "audit", "verify", "--head", head[1])


def test_the_record_tells_every_action_from_proposal_to_outcome(two, tmp_path):
    where, first, second = two
    ok(where, "deny", first, "--reason", "not now")
    ok(where, "view", second)
    ok(where, "approve", second)
    ok(where, "run", typed="")
    told = [json.loads(text) for text in ok(where, "audit", "export").splitlines()]
    links = [one for one in told if "row" in one]
    actions = {one["action"]["inquiry"]: one["action"] for one in told if "action" in one}
    assert [one["seq"] for one in links] == list(range(1, len(links) + 1))
    denied, approved = actions[first], actions[second]
    assert (denied["state"], denied["ran"]) == ("denied", [])
    assert (approved["state"], approved["intent"][:3]) == ("approved", "v1:")
    (proposed,) = approved["proposed"]
    assert proposed["tool"] == "run_command"
    assert json.loads(proposed["arguments"])["command"] == "deploy"
    assert [one["principal"] for one in approved["viewed"]] == ["you"]
    assert {one["evidence"] for one in approved["votes"]} == {"asserted"}
    assert {one["account"] for one in approved["votes"]} == {one["account"] for one in approved["viewed"]}
    digests = {one["digest"] for part in ("proposed", "grants", "ran", "votes", "shown") for one in approved[part]}
    assert digests == {proposed["digest"]}
    assert [one["what"] for one in approved["ran"]] == ["attempt.started", "attempt.ended"]

    file = tmp_path / "record.jsonl"
    assert ok(where, "audit", "export", "--out", str(file)) == ""
    assert [json.loads(text) for text in file.read_text().splitlines()] == told
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    refused(here(where, "audit", "export", "--out", str(file)), 5, "exists")
    assert ok(where, "audit", "export", "--since", "2100-01-01") == ""
    refused(here(where, "audit", "export", "--since", "x"), 2, "no date")


def test_a_policy_is_explained(workspace):
    deploy = '{"command": "deploy", "args": {"site": "landing"}}'
    said = ok(workspace, "policy", "explain", "run_command", deploy, "--as", "devops", "--asked-by", "you")
    assert said.startswith("people are asked: DevOps asks to run deploy\n")
    assert 'because: it names "deploy"' in said
    assert "single operator" in said
    two_people(workspace)
    said = ok(workspace, "policy", "explain", "run_command", deploy, "--as", "devops", "--asked-by", "you")
    assert "not You: asked for it" in said
    nobody = ("policy", "explain", "run_command", deploy, "--as", "developer")
    assert ok(workspace, *nobody).startswith("refused: developer may not use run_command")
    explain = ("policy", "explain", "read_file")
    assert ok(workspace, *explain, '{"path": "a"}', "--as", "devops").startswith("runs at once")
    refused(here(workspace, *explain, "{}", "--as", "nobody"), 1, "there is no role nobody", "devops")
    refused(here(workspace, *explain, "{}", "--as", "devops", "--asked-by", "eve"), 1, "no person eve", "bo")
    refused(here(workspace, *explain, "[]", "--as", "devops"), 2, "no JSON object")


@pytest.mark.parametrize(
    ("digest", "wrong"),
    [
        ('{at: "9 o\'clock", to: "slack:T1/C42"}', "no time of day"),
        ('{at: "09:00", to: origin}', "no place"),
        ("{at: 18:30, to: x}", "text; put it in quotes"),
    ],
)
def test_a_digest_that_cannot_be_told_is_named(workspace, digest, wrong):
    manifest_of(workspace, "  lead: ceo", f"  digest: {digest}\n  lead: ceo")
    found = here(workspace, "check")
    assert found.returncode == 5
    assert wrong in found.stdout


def test_a_digest_is_read(workspace):
    manifest_of(workspace, "  lead: ceo", '  digest: {at: "09:00", to: "slack:T1/C42"}\n  lead: ceo')
    assert here(workspace, "check").stdout.endswith("the team's definition is right\n")
