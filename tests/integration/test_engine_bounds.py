"""An approval for several times: never wider than what was shown, counted one by one, and void once things changed."""

from __future__ import annotations

import msgspec
import pytest

from core.adapters.models.scripted import both, say, use
from core.model.inquiries import Grant, GrantState, InquiryState
from core.model.team import BoundRule, Command, Permissions, Tier
from core.model.unit import MoveGrant, Unit
from core.rules import notes, replies
from tests.engine_kit import BOB, CAROL, YOU, Table, changed_role, company
from tests.integration.test_engine_delegation import done, hand

TUNE = Command(
    name="ship",
    argv=("./tune.sh", "{site}", "{level}"),
    args={
        "site": {"enum": ["landing", "docs"]},
        "level": {"enum": ["low", "high", 3]},
        "mode": {"const": "safe", "default": "safe"},
        "text": {"type": "string", "default": ""},
    },
    tier=Tier.INFRASTRUCTURE,
    resource="site:{site}",
)
FIVE = BoundRule(count_max=5, hours_max=8)
FOR = "for 3 times within 2 hours"
LEVELS = f"{FOR} where level=high"


def bounded(*people, rule: BoundRule | None = FIVE, stages: int = 1):
    made = company(*(people or (YOU, BOB)))
    one = made.policy.tiers[Tier.EXTERNAL.value]
    tier = msgspec.structs.replace(one, stages=one.stages * stages, bounded=rule)
    policy = msgspec.structs.replace(made.policy, tiers={**made.policy.tiers, Tier.INFRASTRUCTURE.value: tier})
    return msgspec.structs.replace(made, policy=policy, commands={"ship": TUNE})


def tune(level="low", site="landing", **more):
    return use("run_command", command="ship", args={"site": site, "level": level, **more})


async def tuning(*uses, team=None, say_last="done") -> Table:
    table = Table({"ops": [*uses, say(say_last)]}, team=team or bounded())
    await table.say("tune it", role="ops")
    return table


def levels(table: Table) -> list[object]:
    return [arguments["args"]["level"] for arguments, _ in table.tools["run_command"].ran]


async def grant_of(table: Table, inquiry) -> Grant:
    row = await table.store.read.inquiry(inquiry.id)
    assert row.grant is not None
    return row.grant


async def test_three_times_and_the_fourth_asks_anew() -> None:
    table = await tuning(tune(), tune("high"), tune(), tune())
    asked = await table.inquiry()
    assert await table.order(f"/approve {asked.id} {LEVELS} because it is a test", "bob") == notes.APPROVED
    assert levels(table) == ["low", "high", "low"]
    grant = await grant_of(table, asked)
    assert (grant.state, grant.used_n) == (GrantState.CONSUMED, 3)
    (card,) = table.decided
    assert card.outcome.endswith("3 of 3 used")
    uses = [row.row for row in await table.store.read.chain() if row.row.what == "attempt.started"]
    assert [row.detail["use"] for row in uses] == ["1 of 3 used", "2 of 3 used", "3 of 3 used"]
    assert {row.detail["grant"] for row in uses} == {grant.id}
    (minted,) = [row.row for row in await table.store.read.chain() if row.row.what == "grant.minted"]
    assert minted.detail["bounds"]["free"] == {"args.level": ["low", "high"]}
    again = await table.inquiry()
    assert again.id != asked.id
    assert table.answers == []


@pytest.mark.parametrize("other", [tune(3), tune(site="docs"), tune(text="x"), use("mail", to="me")])
async def test_outside_the_bounds_people_are_asked(other) -> None:
    table = await tuning(tune(), other)
    asked = await table.inquiry()
    await table.order(f"/approve {asked.id} {LEVELS}", "bob")
    assert levels(table) == ["low"]
    assert (await table.inquiry()).id != asked.id
    assert (await grant_of(table, asked)).used_n == 1


async def test_a_turn_takes_no_more_than_is_left() -> None:
    table = await tuning(tune(), both(tune(), tune("high"), tune()))
    asked = await table.inquiry()
    await table.order(f"/approve {asked.id} {LEVELS}", "bob")
    assert sorted(levels(table)) == ["high", "low", "low"]
    assert (await table.inquiry()).id != asked.id


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("for 6 times within 2 hours", notes.too_wide(5, 8)),
        ("for 2 times within 9 h", notes.too_wide(5, 8)),
        ("for 2 times within 0 h", notes.too_wide(5, 8)),
        (f"{FOR} where text=x", notes.not_free("text")),
        (f"{FOR} where nothing=x", notes.not_free("nothing")),
        (f"{FOR} where command=x", notes.not_free("command")),
        (f"{FOR} where level=loud", notes.choose("level", ("low", "high", "3"))),
        (f"{FOR} where site=docs", notes.decides_what("site")),
        ("for 3 times", replies.HOW_OFTEN),
        (f"{FOR} where level", replies.HOW_OFTEN),
        (f"{FOR} where level=", replies.HOW_OFTEN),
    ],
)
async def test_what_is_too_wide_or_unclear_is_no_approval(text, note) -> None:
    table = await tuning(tune())
    assert await table.order(f"/approve {(await table.inquiry()).id} {text}", "bob") == note
    assert (await table.inquiry()).state is InquiryState.OPEN


async def test_only_where_the_policy_allows_it_and_only_an_approval() -> None:
    table = await tuning(tune(), team=bounded(rule=None))
    assert await table.order(f"/approve {FOR}", "bob") == notes.NOT_BOUNDED
    assert await table.order("/approve fine by me", "bob") == notes.APPROVED
    assert (await grant_of(table, await table.newest())).bounds is None


async def test_a_const_and_every_listed_value_can_be_left_open() -> None:
    table = await tuning(tune(), tune(3))
    await table.order(f"/approve {FOR} where level=*, mode=safe", "bob")
    assert levels(table) == ["low", 3]


async def test_all_stages_must_say_the_same() -> None:
    team = bounded(YOU, BOB, CAROL, stages=2)
    for second, count in ((FOR, 3), ("for 2 times within 2 hours", None), ("", None)):
        table = await tuning(tune(), tune(), team=team)
        asked = await table.inquiry()
        await table.order(f"/approve {asked.id} {FOR}", "bob")
        assert await table.order(f"/approve {asked.id} {second}".strip(), "carol") == notes.APPROVED
        bounds = (await grant_of(table, asked)).bounds
        assert (bounds.count_max if bounds else None) == count
        assert len(levels(table)) == (2 if count else 1)


async def test_an_operator_alone_says_it_with_the_second_press() -> None:
    table = await tuning(tune(), tune(), team=bounded(YOU))
    await table.order(f"/approve {FOR}")
    table.turn_clock(seconds=1)
    assert await table.order(f"/approve {FOR}") == notes.APPROVED
    assert len(levels(table)) == 2


async def test_what_is_left_is_taken_back() -> None:
    team = bounded(YOU, BOB, CAROL)
    table = await tuning(tune(), use("ask_human", question="go on?"), tune(), team=team)
    asked = await table.inquiry()
    await table.order(f"/approve {asked.id} {FOR}", "bob")
    assert await table.order(f'/edit {asked.id} {{"args.level":"high"}}', "carol") == notes.TOO_LATE_TO_EDIT
    assert await table.order(f"/withdraw {asked.id}", "bob") == notes.REVOKED
    assert (await grant_of(table, asked)).state is GrantState.REVOKED
    assert any(card.outcome == "1 of 3 used" for card in table.decided)
    await table.order("/answer yes", "bob")
    assert levels(table) == ["low"]
    assert (await table.inquiry()).action is not None


async def test_it_runs_out_and_what_was_done_stays_approved() -> None:
    table = await tuning(tune(), use("ask_human", question="go on?"), tune())
    asked = await table.inquiry()
    await table.order(f"/approve {asked.id} {FOR}", "bob")
    table.turn_clock(hours=2.1)
    await table.settle()
    row = await table.store.read.inquiry(asked.id)
    assert (row.inquiry.state, row.grant.state) == (InquiryState.APPROVED, GrantState.EXPIRED)
    await table.order("/answer yes", "bob")
    assert levels(table) == ["low"]


async def test_whoever_gave_it_has_left_and_so_it_is_void() -> None:
    table = await tuning(tune(), use("ask_human", question="go on?"), tune(), team=bounded(YOU, BOB, CAROL))
    asked = await table.inquiry()
    await table.order(f"/approve {asked.id} {FOR}", "bob")
    table.teams.team = bounded(YOU, CAROL)
    await table.order("/answer yes", "you")
    assert levels(table) == ["low"]
    assert (await grant_of(table, asked)).state is GrantState.REVOKED
    assert any(card.outcome == f"{replies.VOTER_LEFT}: 1 of 3 used" for card in table.decided)


@pytest.mark.parametrize("change", ["program", "count", "hours", "rule", "policy", "command"])
async def test_another_program_or_a_stricter_policy_makes_it_void_for_good(change) -> None:
    table = await tuning(tune(), use("ask_human", question="go on?"), tune())
    asked = await table.inquiry()
    await table.order(f"/approve {asked.id} {FOR}", "bob")
    before = table.teams.team
    if change == "program":
        table.programs.prints["ship"] = "sha256:" + "1" * 64
    elif change == "command":
        table.teams.team = msgspec.structs.replace(before, commands={})
    else:
        rules = {
            "count": bounded(rule=BoundRule(count_max=2, hours_max=8)),
            "hours": bounded(rule=BoundRule(count_max=5, hours_max=1)),
            "rule": bounded(rule=None),
            "policy": bounded(YOU, BOB, CAROL, stages=2),
        }
        table.teams.team = rules[change]
    await table.order("/answer yes", "bob")
    assert levels(table) == ["low"]
    assert (await grant_of(table, asked)).state is GrantState.REVOKED
    assert any(card.outcome.startswith(replies.VOID) for card in table.decided)
    assert (await table.inquiry()).action is not None


async def test_other_roles_and_other_requests_do_not_have_it() -> None:
    script = {
        "cto": [hand("ops", "tune"), hand("dev", "tune", "build"), say("ok"), hand("ops", "tune"), say("ok")],
        "ops": [tune(), done("tuned"), tune(), done("tuned")],
        "dev": [tune(), done("tuned")],
    }
    table = Table(script, team=changed_role(bounded(), "dev", permissions=Permissions(can_deploy=True)))
    await table.say("tune", role="cto")
    await table.order(f"/approve {FOR}", "bob")
    assert len(levels(table)) == 1
    asked = await table.inquiry()
    assert asked.role == "dev"
    await table.order("/approve", "bob")
    await table.say("again", role="cto")
    assert (await table.inquiry()).root != asked.root
    assert len(levels(table)) == 2


async def test_the_same_role_again_in_the_same_request_has_it() -> None:
    script = {
        "cto": [hand("ops", "tune"), hand("ops", "tune again, please"), say("ok")],
        "ops": [tune(), done("tuned"), tune(), done("tuned")],
    }
    table = Table(script, team=bounded())
    await table.say("tune", role="cto")
    await table.order(f"/approve {FOR}", "bob")
    assert len(levels(table)) == 2
    assert [one.id for one in await table.inquiries()] == []


async def test_two_take_the_last_use_at_the_same_moment_and_one_of_them_must_ask() -> None:
    table = await tuning(tune(), tune())
    asked = await table.inquiry()
    raced = []

    async def first(unit) -> bool:
        uses = [change for change in unit.changes if type(change).__name__ == "UseGrant" and change.used_n == 2]
        if uses:
            await table.store.inner.commit(Unit(changes=(uses[0],)))
            await table.store.inner.commit(Unit(changes=(MoveGrant(id=uses[0].id, state=GrantState.CONSUMED),)))
            raced.append(uses[0].id)
        return bool(uses)

    table.store.meanwhile = first
    await table.order(f"/approve {asked.id} {FOR}", "bob")
    assert raced
    assert levels(table) == ["low"]
    assert "its permission was taken back, or used already" in table.results()[-1]
