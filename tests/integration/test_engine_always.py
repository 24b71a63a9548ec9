"""`/always`: approved once as usual, and a change of team.yaml that only another owner's approval makes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import yaml

from agents.amending import FileLaws, amended
from agents.source import FileTeamSource
from agents.team import load
from agents.workspace import init
from core.adapters.models.scripted import say, use
from core.model.inquiries import InquiryState, Kind, Label
from core.model.team import AllowRule, Amendment, Tier
from core.rules import notes, replies
from tests.engine_kit import BOB, CAROL, YOU, Table, company, person

MAIL = use("mail", to="us")
RULE = {"tool": "mail", "verb": "mail", "until": "2027-02-01"}
ANN = person("ann", "owner")


class Laws:
    """team.yaml as one line of text."""

    def __init__(self) -> None:
        self.text = "old"
        self.rule: AllowRule | None = None
        self.refuses = ""

    def fingerprint(self) -> str:
        return self.text

    def propose(self, rule: AllowRule) -> Amendment | str:
        self.rule = rule
        return self.refuses or Amendment(before=self.text, after="new", diff="-old\n+new")

    def amend(self, rule: AllowRule, amendment: Amendment) -> str:
        if self.refuses:
            return self.refuses
        assert rule == self.rule
        self.text = amendment.after
        return ""


async def mailing(*people, laws: Laws | None = None) -> tuple[Table, Laws]:
    table, laws = Table({"ops": [MAIL, say("sent")]}, team=company(*people)), laws or Laws()
    table.context.laws = laws
    await table.say("mail us", role="ops")
    return table, laws


async def test_it_is_approved_once_and_an_owner_decides_the_diff() -> None:
    table, laws = await mailing(YOU, BOB, CAROL, ANN)
    asked = await table.inquiry()
    assert await table.order(f"/always {asked.id} 2027-02-01", "bob") == notes.APPROVED
    assert table.answer == "sent"
    proposal = await table.inquiry()
    assert (proposal.kind, proposal.label) == (Kind.POLICY, Label.FULL)
    assert [stage.eligible for stage in proposal.stages] == [("ann",)]
    (card,) = table.cards
    assert {field.name: field.shown for field in card.whole}["diff"] == "-old\n+new"
    assert laws.text == "old"
    for who in ("bob", "you", "carol"):
        assert await table.order(f"/approve {proposal.id}", who) in {notes.NOT_YOUR_OWN, notes.NOT_ELIGIBLE}
    assert await table.press("approve", "ann") == notes.APPROVED
    assert laws.text == "new"
    assert any(card.outcome == replies.ALLOWED for card in table.decided)
    assert laws.rule == AllowRule(
        tool="mail",
        verb="mail",
        until_ms=laws.rule.until_ms,
        role="ops",
        resource="mail:us",
        arguments={"to": "us"},
    )
    facts = [row.row.what for row in await table.store.read.chain()]
    assert "policy.changed" in facts
    assert len(table.tools["mail"].ran) == 1


async def test_a_single_operator_decides_it_with_two_presses() -> None:
    table, laws = await mailing(YOU)
    assert await table.order("/always") == notes.CONFIRM
    assert len(await table.inquiries()) == 1
    table.turn_clock(seconds=1)
    assert await table.order("/always") == notes.APPROVED
    proposal = await table.inquiry()
    assert proposal.label is Label.SINGLE
    await table.press("approve")
    assert laws.text == "old"
    table.turn_clock(seconds=1)
    await table.press("approve")
    assert laws.text == "new"


async def test_team_yaml_has_changed_since() -> None:
    table, laws = await mailing(YOU, BOB, ANN)
    await table.order("/always", "bob")
    laws.text = "edited by hand"
    assert await table.press("approve", "ann") == notes.LAWS_CHANGED
    assert (await table.newest()).state is InquiryState.CANCELLED
    assert laws.text == "edited by hand"


async def test_it_changes_between_the_approval_and_the_writing() -> None:
    table, laws = await mailing(YOU, BOB, ANN)
    await table.order("/always", "bob")
    laws.refuses = "agents/team.yaml has changed since"
    await table.press("approve", "ann")
    assert any(card.outcome == laws.refuses for card in table.decided)
    assert laws.text == "old"
    facts = [row.row.what for row in await table.store.read.chain()]
    assert "policy.not-changed" in facts


async def test_no_vote_no_proposal_and_one_at_most() -> None:
    table, _ = await mailing(YOU, BOB, ANN)
    assert await table.order("/always", "you") == notes.NOT_YOUR_OWN
    assert len(await table.inquiries()) == 1
    two = company(YOU, BOB, CAROL, ANN)
    tier = two.policy.tiers[Tier.EXTERNAL.value]
    twice = msgspec.structs.replace(tier, stages=tier.stages * 2)
    tiers = {**two.policy.tiers, Tier.EXTERNAL.value: twice}
    slow = Table(
        {"ops": [MAIL, say("sent")]},
        team=msgspec.structs.replace(two, policy=msgspec.structs.replace(two.policy, tiers=tiers)),
    )
    slow.context.laws = Laws()
    await slow.say("mail us", role="ops")
    asked = await slow.inquiry()
    await slow.order(f"/always {asked.id}", "bob")
    await slow.order(f"/always {asked.id}", "carol")
    assert [one.kind for one in await slow.inquiries(active_only=False)] == [Kind.APPROVAL, Kind.POLICY]


@pytest.mark.parametrize(
    ("until", "note"),
    [("tomorrow", notes.WHICH_DAY), ("2020-01-01", notes.WHICH_DAY), ("2999-01-01", notes.WHICH_DAY)],
)
async def test_a_day_that_is_none(until, note) -> None:
    table, _ = await mailing(YOU, BOB, ANN)
    assert await table.order(f"/always {(await table.inquiry()).id} {until}", "bob") == note


async def test_where_there_can_be_none() -> None:
    table, laws = await mailing(YOU, BOB, ANN)
    assert (await table.order("/always i-99", "bob")).startswith("There is no inquiry")
    laws.refuses = "no"
    assert await table.order("/always", "bob") == "no"
    table.context.laws = None
    assert await table.order("/always", "bob") == notes.NO_LAWS
    asking = Table({"ops": [use("ask_human", question="?"), say("x")]})
    await asking.say("ask", role="ops")
    assert await asking.order("/always") == notes.NOT_ALWAYS
    shipping = Table({"ops": [use("run_command", command="ship", args={"site": "docs"}), say("x")]})
    await shipping.say("ship", role="ops")
    assert await shipping.order("/always") == notes.NEVER_ALWAYS
    owners, _ = await mailing(YOU, BOB)
    assert "everybody who may decide has asked" not in await owners.order("/always", "bob")


# --- The file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "policy",
    [
        "",
        "policy:\n",
        "policy: # none yet\n",
        "policy: {}\n",
        "policy: {words_add: [x]}\n",
        "policy: {allow: [], words_add: [x]}\n",
        "policy:\n  words_add: [x]  # why\n  tiers: {}\n",
        "policy:\n  allow: []\n",
        'policy:\n  allow: [{tool: a, verb: b, until: "2027-01-01"}]\n',
        'policy:\n  words_add: []\n  allow:\n    - {tool: a, verb: b, until: "2027-01-01"}\n  tiers: {}\n',
        "policy:\n    allow:\n    - tool: a\n      verb: b\n    words_add: [x]\n",
    ],
)
@pytest.mark.parametrize("after", ["", "channels: {}\n"])
def test_a_rule_is_added_and_nothing_else_changes(policy, after) -> None:
    before = f"version: 1  # it\n{policy}{after}"
    was, now = yaml.safe_load(before), yaml.safe_load(amended(before, RULE))
    old = (was.get("policy") or {}).get("allow") or []
    assert now["policy"]["allow"] == [RULE, *old]
    assert {**now, "policy": {**now["policy"], "allow": old}} == {
        **was,
        "policy": {**(was.get("policy") or {}), "allow": old},
    }
    assert "# it" in amended(before, RULE)
    assert [line for line in before.splitlines() if "#" in line] == [
        line for line in amended(before, RULE).splitlines() if "#" in line
    ]


@pytest.mark.parametrize("text", ["policy: 3\n", "policy:\n  allow: 3\n", "policy: [\n"])
def test_a_policy_that_cannot_be_added_to(text) -> None:
    with pytest.raises((ValueError, yaml.YAMLError)):
        amended(text, RULE)


@pytest.fixture
def place(tmp_path) -> Path:
    init(tmp_path)
    return tmp_path


@pytest.fixture
def laws(place) -> FileLaws:
    return FileLaws(place, FileTeamSource(place, environ={}), place / ".signoff" / "backups")


NEW = AllowRule(tool="write_file", verb="write", until_ms=1_830_290_400_000, arguments={"path": "a"})


def test_the_file_is_changed_once_and_the_one_before_is_kept(laws, place) -> None:
    file: Path = place / "agents" / "team.yaml"
    old, before = file.read_text(), laws.fingerprint()
    change = laws.propose(NEW)
    assert isinstance(change, Amendment)
    assert "+" in change.diff
    assert file.read_text() == old
    assert laws.amend(NEW, change) == ""
    assert laws.amend(NEW, change) == ""  # after a crash
    assert load(place, environ={}).policy.allow == laws._teams.current().policy.allow
    (rule,) = laws._teams.current().policy.allow
    assert (rule.tool, rule.arguments) == ("write_file", {"path": "a"})
    (kept,) = (place / ".signoff" / "backups").iterdir()
    assert kept.read_text() == old
    assert laws.fingerprint() == change.after != before
    assert [one.name for one in file.parent.iterdir() if one.name.startswith(".")] == []


def test_a_file_that_changed_is_left_alone(laws, place) -> None:
    file: Path = place / "agents" / "team.yaml"
    change = laws.propose(NEW)
    assert isinstance(change, Amendment)
    file.write_text(file.read_text() + "\n# mine\n")
    mine = file.read_text()
    assert "has changed since" in laws.amend(NEW, change)
    assert file.read_text() == mine
    file.unlink()
    assert laws.fingerprint() == ""
    assert "cannot be changed" in laws.amend(NEW, change)
    assert "cannot be changed" in laws.propose(NEW)


@pytest.mark.parametrize("bad", [{"role": "nobody"}, {"tool": 5}])
def test_a_rule_that_would_not_load_is_not_written(laws, place, bad) -> None:
    file: Path = place / "agents" / "team.yaml"
    old = file.read_text()
    rule = msgspec.structs.replace(NEW, **bad)
    change = laws.propose(rule)
    assert isinstance(change, Amendment)
    assert "would not load" in laws.amend(rule, change)
    assert file.read_text() == old
    assert laws._teams.reload()
