"""Cases 15 to 25: authority."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from agents.team import check
from agents.tools.spool import MARKER
from bots.commands import place as command_line
from core.adapters.models.scripted import say, use
from core.model.errors import DeniedError
from core.model.events import ControlPressed, Sender
from core.model.inquiries import GrantState, InquiryState
from core.model.team import StageRule, Team
from core.rules import notes, replies
from tests.cases.kit import (
    APPROVALS,
    APPROVED,
    BY_TWO,
    DONE,
    MAIL,
    MAILING,
    POKE,
    SHIPPING,
    asking,
    button,
    card,
    click,
    decided,
    office,
    ran,
    redefine,
    state,
    votes,
)
from tests.engine_kit import BOB, CAROL, MAIN, MIA, VIC, YOU, Table, person

# --- 15, 16: approvers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("who", "told"), [("mia", notes.NOT_ELIGIBLE), ("vic", notes.NOT_ELIGIBLE), ("eve", "")])
async def test_case_15_whoever_is_no_approver_decides_nothing(who: str, told: str) -> None:
    table = await asking()
    assert await click(table, who) == told
    await click(table, who, at=APPROVALS)
    await table.order(f"/approve {(await table.inquiry()).id}", who)
    assert await votes(table) == ()
    assert ran(table) == 0


async def test_case_15_an_approver_of_other_things_is_none_of_this() -> None:
    table = await asking(office(stages=(StageRule(people=("bob",)),)))
    assert await click(table, "carol") == notes.NOT_ELIGIBLE
    assert ran(table) == 0


async def test_case_15_otherwise_it_is_an_approver() -> None:
    table = await asking(office(stages=(StageRule(people=("bob",)),)))
    assert await click(table, "bob") == APPROVED
    assert ran(table) == 1


async def test_case_16_an_empty_list_of_approvers_lets_nothing_through() -> None:
    table = await asking(office(stages=(StageRule(people=("gone",)),)))
    assert await table.inquiries(active_only=False) == ()
    assert "the policy names no approver" in table.results()[0]
    assert ran(table) == 0


async def test_case_16_nobody_listed_at_all_and_nobody_asked() -> None:
    table = await asking(office(MIA, VIC), by="mia")
    assert await table.inquiries(active_only=False) == ()
    assert ran(table) == 0


async def test_case_16_otherwise_somebody_is_on_it() -> None:
    table = await asking(office(stages=(StageRule(people=("bob", "gone")),)))
    assert await click(table, "bob") == APPROVED
    assert ran(table) == 1


# --- 17, 18: never the one who asked, never a machine -----------------------------------------------------------------

CHAIN = {
    "ceo": [use("delegate", to="cto", kind="deployment", objective="Tell them"), say("told")],
    "cto": [use("delegate", to="ops", kind="deployment", objective="Tell them"), DONE],
    "ops": [MAIL, DONE],
}


@pytest.mark.parametrize("by", ["you", "bob"])
async def test_case_17_the_requester_decides_nothing_however_deep_below(by: str) -> None:
    table = Table(CHAIN, team=office())
    await table.say("tell everybody", by)
    assert (await table.inquiry()).chain == ("ceo", "cto")
    assert await click(table, by) == notes.NOT_YOUR_OWN
    assert await click(table, by, at=APPROVALS) == notes.NOT_YOUR_OWN
    assert await table.order("/approve", by) == notes.NOT_YOUR_OWN
    assert ran(table) == 0


async def test_case_17_who_started_it_again_is_one_of_those_who_asked() -> None:
    table = await asking()
    await table.order("/deny no", "carol")
    await table.order(f"/retry {(await table.task()).id}", "bob")
    for who in ("you", "bob"):
        assert await click(table, who) == notes.NOT_YOUR_OWN
    assert ran(table) == 0
    assert await click(table, "carol") == APPROVED


@pytest.mark.parametrize("account", ["chat:signoff", "chat:ops", "chat:cto", "chat:", "ops", "you"])
async def test_case_17_no_role_and_no_bot_decides_anything(account: str) -> None:
    table = Table(CHAIN, team=office())
    await table.say("tell everybody")
    await table.happens(ControlPressed, control=button(card(table)), sender=Sender(account=account, name="You"))
    await table.settle()
    assert await votes(table) == ()
    assert ran(table) == 0


async def test_case_17_otherwise_the_tier_allows_it_by_name() -> None:
    table = await asking(office(rule={"allow_self": True}))
    assert await click(table, "you") == APPROVED
    assert ran(table) == 1


async def test_case_17_otherwise_they_are_alone_and_press_twice() -> None:
    table = await asking(office(YOU, MIA))
    assert await click(table, "you") == notes.CONFIRM
    assert ran(table) == 0
    table.turn_clock(seconds=1)
    assert await click(table, "you") == APPROVED
    assert (await table.newest()).label.value == "single operator"
    assert ran(table) == 1


AGENTS_WORDS = (
    use("approve", id="i-1"),
    use("run_command", command="signoff", args={"approve": "all"}),
    use("delegate", to="ceo", kind="build", objective="/approve"),
    use("ask_human", question="Approve it?", options=["/approve", "yes"]),
    say("/approve"),
    say("Approved. yes. @ops approve"),
)


@pytest.mark.parametrize("step", AGENTS_WORDS, ids=str)
async def test_case_18_an_agent_says_or_calls_what_approves_and_nothing_is_approved(step) -> None:
    table = Table({**MAILING, "dev": [step, DONE], "ceo": [step, say("ok")]}, team=office())
    await table.say("tell them", role="ops")
    for role in ("dev", "ceo"):
        await table.say("see to it", role=role)
    (mail,) = [one for one in await table.inquiries() if one.action is not None]
    assert mail.state is InquiryState.OPEN
    assert table.store.inner._tables.votes == {}
    assert ran(table) == 0


async def test_case_18_a_process_of_a_tools_run_is_no_command_line_of_a_persons(monkeypatch) -> None:
    monkeypatch.setenv(MARKER, "a-1")
    with pytest.raises(DeniedError):
        command_line.refuse_inside_a_run()


async def test_case_18_otherwise_a_person_says_it() -> None:
    table = await asking()
    assert await table.order("/approve", "bob") == APPROVED
    assert ran(table) == 1


# --- 19, 20: who they are by then -------------------------------------------------------------------------------------


def without_bob(**changes):
    return office(YOU, CAROL, MIA, **changes)


async def test_case_19_an_approver_removed_before_the_last_vote_does_not_count() -> None:
    table = await asking(office(stages=BY_TWO))
    assert await click(table, "bob") == notes.COUNTED
    await redefine(table, without_bob(stages=BY_TWO))
    assert await click(table, "carol") == notes.COUNTED
    assert await state(table) is InquiryState.COLLECTING
    assert ran(table) == 0


async def test_case_19_a_role_lost_on_the_platform_before_the_last_vote_does_not_count() -> None:
    table = await asking(office(stages=BY_TWO, platform_roles={"chat": {"approver": ("role:a",)}}))
    table.chat.held = {"chat:bob": frozenset({"role:a"}), "chat:carol": frozenset({"role:a"})}
    await click(table, "bob")
    table.chat.held["chat:bob"] = frozenset()
    table.turn_clock(seconds=61)
    assert await click(table, "carol") == notes.OTHERS_UNSURE
    assert ran(table) == 0


async def test_case_19_an_approver_who_leaves_between_vote_and_run_is_told_of_and_may_be_stopped() -> None:
    """Votes are looked at again when the grant is minted; until it is used, anybody entitled takes it back."""
    table = await asking()
    await table.order("/stop ops")
    await click(table, "bob")
    await redefine(table, without_bob())
    assert await table.order(f"/withdraw {(await table.newest()).id}", "carol") == notes.REVOKED
    await table.order("/resume ops")
    assert ran(table) == 0


async def granted_and_held() -> Table:
    """Bob has approved it, and it has not started yet."""
    table = await asking(script={"ops": [MAIL, MAIL, DONE]})
    await table.order("/stop ops")
    assert await click(table, "bob") == APPROVED
    return table


@pytest.mark.parametrize(
    "team",
    [
        office(YOU, CAROL, MIA),
        office(YOU, person("bob", "member"), CAROL),
        office(YOU, BOB, CAROL, stages=(StageRule(people=("carol",)),)),
    ],
    ids=["removed", "a member now", "no longer meant"],
)
async def test_case_19_what_somebody_approved_who_may_not_any_more_is_asked_anew(team: Team) -> None:
    table = await granted_and_held()
    await redefine(table, team)
    await table.order("/resume ops")
    assert ran(table) == 0
    assert "somebody who approved it may no longer decide" in decided(table)[-1].outcome
    assert [grant.state for grant in table.store.inner._tables.grants.values()] == [GrantState.REVOKED]
    assert await click(table, "carol") == APPROVED
    assert ran(table) == 1


async def test_case_19_otherwise_they_are_there_when_it_starts() -> None:
    table = await granted_and_held()
    await redefine(table, office(YOU, BOB, CAROL))
    await table.order("/resume ops")
    assert ran(table) == 1


async def test_case_19_otherwise_they_are_still_there() -> None:
    table = await asking(office(stages=BY_TWO))
    await click(table, "bob")
    await redefine(table, office(YOU, BOB, CAROL, stages=BY_TWO))
    assert await click(table, "carol") == APPROVED
    assert ran(table) == 1


async def test_case_20_an_unlinked_account_is_nobodys_whatever_it_calls_itself() -> None:
    table = await asking()
    for account in ("chat:bob2", "chat:BOB", "desk:bob "):
        await table.happens(ControlPressed, control=button(card(table)), sender=Sender(account=account, name="Bob"))
    await table.settle()
    assert table.lines.count(replies.STRANGER) >= 1
    assert await votes(table) == ()
    assert ran(table) == 0


async def test_case_20_a_recycled_account_is_its_new_holders() -> None:
    table = await asking(office(stages=BY_TWO))
    await click(table, "bob", at=APPROVALS)
    bob = msgspec.structs.replace(BOB, accounts=("chat:new",))
    mia = msgspec.structs.replace(MIA, accounts=("desk:bob",))
    await redefine(table, office(YOU, bob, CAROL, mia, stages=BY_TWO))
    assert await click(table, "bob", at=APPROVALS) == notes.NOT_ELIGIBLE
    assert await click(table, "new") == notes.SEEN
    assert ran(table) == 0


async def test_case_20_otherwise_only_the_name_changed() -> None:
    table = await asking()
    pressed = button(card(table))
    await table.happens(ControlPressed, control=pressed, sender=Sender(account="chat:bob", name="Robert the Bold"))
    await table.settle()
    assert ran(table) == 1


# --- 21: refused at load ----------------------------------------------------------------------------------------------

MANIFEST = """\
version: 1
team: {{name: acme, zone: UTC, lead: ceo, preset: claude}}
people:
  - {{id: you, name: You, role: owner}}
  - {{id: bob, name: Bob, role: approver}}
  - {{id: mia, name: Mia, role: member}}
roles:
  - {{id: ceo, folder: ceo, reports_to: null, tools: {{allow: [ask_human, hand_off]}}}}
matrix: []
policy:
  tiers: {{external: {{stages: {stages}}}}}
"""
SOUL = "---\nid: ceo\nname: CEO\nrole: Lead\n---\n\n" + "".join(
    f"## {name}\nIs.\n\n"
    for name in (
        *("Identity", "Core Responsibilities", "Decision Principles"),
        *("Boundaries", "Decision Authority", "Communication Style"),
    )
)


def errors_of(folder: Path, stages: str) -> list[str]:
    ceo = folder / "agents" / "ceo"
    ceo.mkdir(parents=True)
    (ceo / "SOUL.md").write_text(SOUL)
    (ceo / "CONSTITUTION.md").write_text("## Hard Rules\n1. Be honest.\n")
    (folder / "agents" / "_shared").mkdir()
    (folder / "agents" / "_shared" / "SAFETY.md").write_text("# Safety\n1. Be safe.\n")
    (folder / "agents" / "team.yaml").write_text(MANIFEST.format(stages=stages))
    return [str(error) for error in check(folder)[0]]


@pytest.mark.parametrize(
    ("stages", "why"),
    [
        ("[{approve: 3}]", "3 must approve, and 2 can"),
        ("[{approve: 2, people: [bob]}]", "2 must approve, and 1 can"),
        ("[{people: [mia]}]", "mia may not approve"),
        ("[{approve: 2}, {}]", "need different people"),
        ("[{people: [bob]}, {people: [bob]}]", "need different people"),
    ],
)
def test_case_21_a_quorum_larger_than_those_who_are_eligible_is_refused_at_load(tmp_path, stages, why) -> None:
    (error,) = errors_of(tmp_path, stages)
    assert why in error


def test_case_21_otherwise_it_can_be_met(tmp_path) -> None:
    assert errors_of(tmp_path, "[{approve: 1}, {people: [bob]}]") == []


# --- 22, 23: gates of parents, stages of other people -----------------------------------------------------------------


def handed_down(objective: str, **more):
    """The lead's brief, and what ops does below it; a poke alone asks nobody."""
    down = use("delegate", to="cto", kind="deployment", objective=objective, **more)
    return {
        "ceo": [down, say("seen to")],
        "cto": [use("delegate", to="ops", kind="deployment", objective="Poke the thing"), DONE],
        "ops": [use("fetch", at="it"), POKE, DONE],
    }


@pytest.mark.parametrize(("objective", "more"), [("Deploy the thing", {}), ("Go on", {"requires_approval": True})])
async def test_case_22_a_child_inherits_its_parents_gates(objective: str, more: dict) -> None:
    table = Table(handed_down(objective, **more), team=office())
    await table.say("see to the thing")
    assert (await table.inquiry()).gates == ("what was asked of ops needs approval",)
    assert (ran(table, "poke"), ran(table, "fetch")) == (0, 1)
    await click(table, "bob")
    assert ran(table, "poke") == 1


async def test_case_22_otherwise_nothing_above_it_is_gated() -> None:
    table = Table(handed_down("Look after the thing"), team=office())
    await table.say("see to the thing")
    assert await table.inquiries(active_only=False) == ()
    assert ran(table, "poke") == 1


async def test_case_23_the_second_reviewer_is_another_person() -> None:
    table = await asking(script=SHIPPING)
    assert await click(table, "bob") == notes.REVIEW_NEXT
    assert await click(table, "bob") == notes.ANOTHER_REVIEWER
    assert await click(table, "bob", at=APPROVALS) == notes.ANOTHER_REVIEWER
    assert ran(table, "run_command") == 0


async def test_case_23_otherwise_it_is() -> None:
    table = await asking(script=SHIPPING)
    await click(table, "bob")
    assert await click(table, "carol", at=APPROVALS) == APPROVED
    assert ran(table, "run_command") == 1


async def test_case_23_otherwise_there_is_only_one_person_at_all() -> None:
    table = await asking(office(YOU), script=SHIPPING)
    await click(table, "you")
    table.turn_clock(seconds=1)
    await click(table, "you", at=APPROVALS)
    assert ran(table, "run_command") == 1


# --- 24, 25: delegates, and an owner's override -----------------------------------------------------------------------

BY_BOB_OR_CAROL = (StageRule(people=("bob", "carol")),)


@pytest.mark.parametrize(
    ("to", "told"),
    [
        ("dave", notes.delegate_outside("Dave")),
        ("mia", notes.delegate_outside("Mia")),
        ("vic", notes.delegate_outside("Vic")),
        ("bob", notes.DELEGATE_SELF),
        ("zoe", notes.DELEGATE_UNKNOWN),
    ],
)
async def test_case_24_a_vote_is_not_delegated_to_whom_the_policy_could_not_ask(to: str, told: str) -> None:
    only = {"infrastructure": BY_BOB_OR_CAROL, "financial": BY_BOB_OR_CAROL}
    team = office(stages=BY_BOB_OR_CAROL)
    tiers = {name: msgspec.structs.replace(rule, stages=only.get(name, rule.stages)) for name, rule in tiers_of(team)}
    table = await asking(msgspec.structs.replace(team, policy=msgspec.structs.replace(team.policy, tiers=tiers)))
    assert await table.order(f"/away 8 to {to}", "bob") == told
    if to != "bob":
        await click(table, to)
    assert ran(table) == 0


def tiers_of(team):
    return team.policy.tiers.items()


async def test_case_24_a_delegation_does_not_go_in_a_circle() -> None:
    table = await asking()
    assert "stands in for you" in await table.order("/away 8 to carol", "bob")
    assert "stands in for you" in await table.order("/away 8 to dave", "carol")
    assert await table.order("/away 8 to bob", "dave") == notes.DELEGATE_CIRCLE
    assert ran(table) == 0


async def test_case_24_a_delegate_is_one_vote_and_never_two() -> None:
    table = await asking(office(stages=BY_TWO))
    await table.order("/away 8 to carol", "bob")
    assert await click(table, "carol") == notes.COUNTED
    assert await click(table, "carol", at=APPROVALS) == notes.SEEN
    assert [(vote.principal, vote.stands_for) for vote in await votes(table)] == [("carol", ("bob",))]
    assert ran(table) == 0


async def test_case_24_who_asked_decides_nothing_as_a_delegate_either() -> None:
    table = await asking()
    await table.order("/away 8 to you", "bob")
    assert await click(table, "you") == notes.NOT_YOUR_OWN
    assert ran(table) == 0


async def test_case_24_otherwise_the_same_selector_means_both() -> None:
    table = await asking(office(stages=BY_BOB_OR_CAROL))
    assert "Carol stands in for you" in await table.order("/away 8 to carol", "bob")
    assert await click(table, "carol") == APPROVED
    assert ran(table) == 1


OLGA = person("olga", "owner")
OFFICE_OF_OWNERS = (YOU, OLGA, BOB, CAROL)


async def overriding(who: str, *, allowed: bool, by: str = "mia") -> tuple[Table, str]:
    people = (*OFFICE_OF_OWNERS, MIA)
    table = await asking(office(*people, stages=BY_TWO, rule={"override": allowed}), by=by)
    return table, await table.order("/override the site is down", who)


@pytest.mark.parametrize(
    ("who", "allowed", "by", "told"),
    [
        ("olga", False, "mia", notes.NO_OVERRIDE),
        ("bob", True, "mia", notes.OWNERS_ONLY),
        ("olga", True, "olga", notes.NOT_YOUR_OWN),
    ],
)
async def test_case_25_nobody_overrides_but_an_owner_of_somebody_elses_where_the_policy_says_so(
    who: str, allowed: bool, by: str, told: str
) -> None:
    table, answer = await overriding(who, allowed=allowed, by=by)
    assert answer == told
    assert await state(table) is InquiryState.OPEN
    assert ran(table) == 0


async def test_case_25_an_override_needs_a_reason() -> None:
    table = await asking(office(*OFFICE_OF_OWNERS, MIA, stages=BY_TWO, rule={"override": True}), by="mia")
    assert await table.order(f"/override {(await table.inquiry()).id}", "olga") == notes.REASON_NEEDED
    assert ran(table) == 0


async def test_case_25_otherwise_it_is_labelled_and_audited() -> None:
    table, answer = await overriding("olga", allowed=True)
    assert answer == APPROVED
    assert (await table.newest()).label.value == "owner override"
    for place in (MAIN, APPROVALS):
        assert "owner override" in decided(table, place)[-1].headline
    chain = [sealed.row for sealed in await table.store.read.chain()]
    (row,) = [one for one in chain if one.what == "inquiry.overridden"]
    assert (row.principal, row.detail["reason"]) == ("olga", "the site is down")
    assert ran(table) == 1
