"""What every store promises. A store joins with one fixture; a Change or Guard without a case fails the suite."""

from __future__ import annotations

import asyncio
import typing

import msgspec
import pytest
from msgspec.structs import replace

from core.adapters.memory import MemoryStore
from core.adapters.sqlite.store import SqliteStore
from core.model import unit as u
from core.model.inquiries import (
    Action,
    Attempt,
    AttemptState,
    Bounds,
    DeliveryState,
    GrantState,
    InquiryState,
    Verb,
)
from core.model.memory import BOARD, Layer, Secrecy
from core.model.team import AccountLink, EffectClass, Tier
from core.model.work import Failure, Phase
from core.rules.remembering import words_of
from tests.conformance import store_cases as make
from tests.conformance.store_cases import HERE, THERE

COVERED = set()


def case(*kinds):
    """Says which members of the unions a test is about."""
    COVERED.update(kinds)
    return lambda test: test


@pytest.fixture
def clock():
    return make.TurnedClock()


@pytest.fixture(params=["memory", "sqlite"])
async def store(request, clock, tmp_path):
    made = MemoryStore(clock) if request.param == "memory" else await SqliteStore.open(tmp_path / "s.db", clock)
    await made.new_boot()
    yield made
    await made.close()


@pytest.fixture
def do(store):
    async def run(*changes, guards=()):
        return await store.commit(u.Unit(guards=guards, changes=changes))

    return run


@pytest.fixture
def ok(do):
    async def run(*changes, guards=()):
        assert await do(*changes, guards=guards) == u.Applied()

    return run


async def refused(do, guard):
    """The guard fails, and nothing of its unit is written."""
    answer = await do(u.SetMeta(name="leak", value="x"), guards=(guard,))
    assert isinstance(answer, u.Refused)
    assert answer.guard == guard
    return True


async def is_unique(do, change):
    answer = await do(u.SetMeta(name="leak", value="x"), change)
    assert isinstance(answer, u.Refused)
    assert answer.guard is None
    assert answer.why


def test_every_change_and_guard_has_a_case():
    assert set(typing.get_args(u.Change)) | set(typing.get_args(u.Guard)) == COVERED


# --- Guards ---------------------------------------------------------------------------------------------------------


@case(u.Version)
@pytest.mark.parametrize(
    ("table", "put"),
    [
        (u.Table.TASK, lambda v: u.PutTask(task=make.task("x", version=v))),
        (u.Table.INQUIRY, lambda v: u.PutInquiry(inquiry=make.inquiry("x", version=v))),
    ],
)
async def test_version(do, ok, store, table, put):
    def at(version):
        return u.Version(table=table, id="x", version=version)

    await refused(do, at(1))
    await ok(put(1), guards=(at(0),))
    await refused(do, at(0))
    await ok(put(2), guards=(at(1),))
    await refused(do, at(1))
    await ok(guards=(at(2),))
    assert await store.read.meta("leak") is None


@case(u.Fence)
async def test_fence(do, ok, store, clock):
    await ok(u.PutTask(task=make.task()), make.add_effect("e"), u.AddPost(post=make.post("p")))
    on_effect = u.Fence(table=u.Table.EFFECT, id="e", fence=1)
    on_post = u.Fence(table=u.Table.POST, id="p", fence=1)
    await refused(do, on_effect)
    await refused(do, on_post)
    await store.claim_effects(make.claim())
    await store.claim_posts(make.claim_posts())
    await ok(guards=(on_effect, on_post))
    clock.at_ms += 5000
    await ok(guards=(on_effect, on_post))  # a lapsed lease is only lost when another claims
    await store.claim_effects(make.claim())
    await store.claim_posts(make.claim_posts())
    await refused(do, on_effect)
    await refused(do, on_post)
    await refused(do, u.Fence(table=u.Table.EFFECT, id="nobody", fence=1))


@case(u.State)
async def test_state(do, ok):
    rows = {
        u.Table.EVENT: (u.AddEvent(event=make.event("x")), "new"),
        u.Table.SIGNAL: (u.AddSignal(signal=make.signal("x")), "new"),
        u.Table.TASK: (u.PutTask(task=make.task("x", phase=Phase.CANCELLING)), "cancelling"),
        u.Table.EFFECT: (make.add_effect("x"), "queued"),
        u.Table.INQUIRY: (u.PutInquiry(inquiry=make.inquiry("x")), "open"),
        u.Table.GRANT: (u.PutGrant(grant=make.grant("x")), "live"),
        u.Table.ATTEMPT: (
            u.PutAttempt(attempt=Attempt(id="x", grant="g", state=AttemptState.RESERVED)),
            "reserved",
        ),
        u.Table.POST: (u.AddPost(post=make.post("x")), "queued"),
        u.Table.MEMORY: (u.PutMemory(memory=make.memory("x")), "live"),
    }
    assert set(rows) == set(u.Table)
    for table, (change, state) in rows.items():
        await refused(do, u.State(table=table, id="x", states=(state, "other")))
        await ok(change, guards=(u.State(table=table, id="x", states=("",)),))
        await ok(guards=(u.State(table=table, id="x", states=("other", state)),))
        await refused(do, u.State(table=table, id="x", states=("other",)))
        await refused(do, u.State(table=table, id="x", states=()))


@case(u.Room)
async def test_room(do, ok):
    def room(tokens, microusd):
        return u.Room(scope="day", tokens=tokens, microusd=microusd, tokens_max=100, microusd_max=50)

    await ok(guards=(room(100, 50),))
    await refused(do, room(101, 0))
    await refused(do, room(0, 51))
    await ok(u.Reserve(scope="day", id="e", tokens=60, microusd=10), guards=(room(60, 10),))
    await ok(guards=(room(40, 40),))
    await refused(do, room(41, 0))
    await ok(u.Settle(id="e", tokens=5, microusd=30))
    await ok(guards=(room(95, 20),))
    await refused(do, room(0, 21))


@case(u.InsertOnce)
async def test_insert_once(do, ok, store):
    once = u.InsertOnce(key="k", digest="d")
    await ok(u.SetMeta(name="n", value="1"), guards=(once,))
    assert await do(u.SetMeta(name="n", value="2"), guards=(once,)) == u.Applied(known=True)
    assert await store.read.meta("n") == "1"
    await refused(do, u.InsertOnce(key="k", digest="other"))
    # a key of a refused unit is not remembered
    new = u.InsertOnce(key="new", digest="d")
    assert await do(guards=(new, u.Version(table=u.Table.TASK, id="x", version=7))) != u.Applied()
    assert await do(guards=(new, once)) == u.Applied(known=True)
    await ok(guards=(new,))
    assert await store.read.meta("leak") is None


async def test_a_refused_unit_writes_nothing(do, ok, store):
    await ok(u.PutTask(task=make.task()), u.AddEntry(task="t-1", n=0, entry=make.entry("first")))
    answer = await do(
        u.AddEvent(event=make.event()),
        u.PutTask(task=make.task(version=2)),
        u.PutTask(task=make.task("t-2")),
        u.AddEntry(task="t-1", n=1, entry=make.entry()),
        make.add_effect("e"),
        u.AddPost(post=make.post(answer=True)),
        u.AddSignal(signal=make.signal()),
        u.Reserve(scope="s", id="e", tokens=1, microusd=1),
        u.AddAudit(row=make.audit()),
        u.Pause(scope="all", paused=True),
        u.AddEntry(task="t-1", n=0, entry=make.entry("second")),
        guards=(u.InsertOnce(key="k", digest="d"),),
    )
    assert isinstance(answer, u.Refused)
    counts = u.Counts(events_new=0, signals_due=0, effects_open=0, posts_open=0, tasks_open=1, inquiries_active=0)
    assert await store.read.counts() == counts
    assert (await store.read.task("t-1")).version == 1
    assert await store.read.journal("t-1") == ((0, make.entry("first")),)
    assert await store.read.spent("s") == u.Spent()
    assert await store.read.unsealed(9) == ()
    assert await store.read.paused() == ()
    assert await store.read.said(HERE, 9) == ()
    await ok(guards=(u.InsertOnce(key="k", digest="d"),))


async def test_of_64_at_once_exactly_one_wins(do, store):
    await do(u.PutTask(task=make.task(version=1)))

    async def attempt(n):
        change = u.PutTask(task=make.task(version=2, turns=n))
        guard = u.Version(table=u.Table.TASK, id="t-1", version=1)
        return await do(change, u.AddEntry(task="t-1", n=n, entry=make.entry()), guards=(guard,))

    answers = await asyncio.gather(*(attempt(n) for n in range(64)))
    assert sum(answer == u.Applied() for answer in answers) == 1
    assert len(await store.read.journal("t-1")) == 1


# --- Changes --------------------------------------------------------------------------------------------------------


@case(u.AddEvent, u.CloseEvent)
async def test_events_are_due_in_order_until_closed(do, ok, store):
    for key in ("b", "a", "c"):
        await ok(u.AddEvent(event=make.event(key, text=key)))
    await is_unique(do, u.AddEvent(event=make.event("a")))
    events, _, _ = await store.due(2)
    assert [one.event for one in events] == [make.event("b", text="b"), make.event("a", text="a")]
    assert events[0].seq < events[1].seq
    assert await store.read.event_task("b") is None
    await ok(u.CloseEvent(key="b", task="t-1"), u.CloseEvent(key="a"), u.CloseEvent(key="unknown"))
    events, _, _ = await store.due(9)
    assert [one.event.key for one in events] == ["c"]
    assert await store.read.event_task("b") == "t-1"
    assert await store.read.event_task("a") is None
    assert await store.read.event_task("unknown") is None


@case(u.AddSignal, u.CloseSignal)
async def test_signals_fall_due(ok, store, clock):
    now = clock.at_ms
    await ok(*(u.AddSignal(signal=make.signal(name, due_at_ms=now + ms)) for name, ms in (("a", 50), ("b", 20))))
    assert await store.due(9) == ((), (), now + 20)
    clock.at_ms += 20
    _, signals, following = await store.due(9)
    assert (signals, following) == ((make.signal("b", due_at_ms=now + 20),), now + 50)
    await ok(u.AddSignal(signal=make.signal("a", due_at_ms=now + 10)))
    _, signals, following = await store.due(9)
    assert ([(one.id, one.due_at_ms) for one in signals], following) == ([("a", now + 10), ("b", now + 20)], None)
    assert len((await store.due(1))[1]) == 1
    await ok(u.CloseSignal(id="a"), u.CloseSignal(id="b"), u.CloseSignal(id="unknown"))
    await ok(u.AddSignal(signal=make.signal("a", due_at_ms=0)))  # dealt with: it stays so
    assert await store.due(9) == ((), (), None)


@case(u.PutTask)
async def test_tasks(ok, store):
    await ok(u.PutTask(task=make.task("t-1")))
    await ok(u.PutTask(task=make.task("t-2", parent="t-1", role="cto")))
    await ok(u.PutTask(task=make.task("t-3", conversation=THERE)))
    await ok(u.PutTask(task=make.task("t-4")))
    assert await store.read.task("t-2") == make.task("t-2", parent="t-1", role="cto")
    assert await store.read.task("t-9") is None
    assert await store.read.task_ids("t-") == ("t-1", "t-2", "t-3", "t-4")
    assert await store.read.task_ids("t-3") == ("t-3",)
    assert [row.task.id for row in await store.read.tasks()] == ["t-4", "t-3", "t-2", "t-1"]
    assert [row.task.id for row in await store.read.tasks(root="t-1")] == ["t-1", "t-2"]
    assert [row.task.id for row in await store.read.tasks(limit=1)] == ["t-4"]
    assert (await store.read.open_root(HERE)).id == "t-4"
    await ok(u.PutTask(task=make.task("t-4", version=2, phase=Phase.DONE)))
    await ok(u.PutTask(task=make.task("t-2", parent="t-1", version=2, phase=Phase.FAILED)))
    assert (await store.read.open_root(HERE)).id == "t-1"
    assert (await store.read.open_root(THERE)).id == "t-3"
    assert [row.task.id for row in await store.read.tasks(open_only=True)] == ["t-3", "t-1"]
    assert [row.task.id for row in await store.read.tasks(open_only=True, root="t-1")] == ["t-1"]
    await ok(u.PutTask(task=make.task("t-1", version=2, turns=5)))
    assert (await store.read.task("t-1")).turns == 5


async def test_a_task_in_one_word(ok, store, clock):
    async def word():
        return (await store.read.tasks())[0].state

    await ok(u.PutTask(task=make.task()))
    assert await word() == "waiting"
    await ok(u.AddSignal(signal=make.signal(due_at_ms=clock.at_ms + 10)))
    assert await word() == "waiting"
    clock.at_ms += 10
    assert await word() == "ready"
    await ok(u.CloseSignal(id="s-1"), make.add_effect("e"))
    assert await word() == "ready"
    await store.claim_effects(make.claim())
    assert await word() == "leased"
    await ok(u.Pause(scope="role:ceo", paused=True))
    assert await word() == "paused"
    await ok(u.PutTask(task=make.task(version=2, phase=Phase.CANCELLING)))
    assert await word() == "cancelling"
    await ok(u.PutTask(task=make.task(version=3, phase=Phase.CANCELLED)))
    assert await word() == "finished"


@case(u.AddEntry)
async def test_journal(do, ok, store):
    await ok(*(u.AddEntry(task="t-1", n=n, entry=make.entry(f"{n}")) for n in (1, 0, 2)))
    await ok(u.AddEntry(task="t-2", n=0, entry=make.entry()))
    await is_unique(do, u.AddEntry(task="t-1", n=1, entry=make.entry()))
    assert await store.read.journal("t-1") == tuple((n, make.entry(f"{n}")) for n in range(3))
    assert [n for n, _ in await store.read.journal("t-1", after=0)] == [1, 2]


@case(u.AddEffect, u.EndEffect, u.RequeueEffect)
async def test_effects(do, ok, store, clock):
    await ok(u.PutTask(task=make.task()))
    await ok(make.add_effect("q", not_before_ms=clock.at_ms + 10))
    await ok(make.add_effect("s", holder="me", lease_ms=1000))
    await is_unique(do, make.add_effect("q"))
    queued, started = await store.read.effects("t-1")
    assert (queued.effect, queued.state, queued.fence, queued.attempt_n) == (make.effect("q"), "queued", 0, 0)
    assert (started.effect, started.state, started.fence, started.attempt_n) == (make.effect("s"), "started", 1, 1)
    fence = u.Fence(table=u.Table.EFFECT, id="s", fence=1)
    await ok(u.RequeueEffect(id="s", not_before_ms=clock.at_ms + 5), guards=(fence,))
    await refused(do, fence)
    assert await store.claim_effects(make.claim(ceo=9)) == ()
    clock.at_ms += 10
    leased = await store.claim_effects(make.claim(ceo=9))
    assert [(one.effect.id, one.fence, one.again, one.attempt_n) for one in leased] == [
        ("q", 1, False, 1),
        ("s", 2, False, 2),
    ]
    await ok(u.EndEffect(id="q"), u.EndEffect(id="s"))
    await ok(u.RequeueEffect(id="q", not_before_ms=0))  # what has ended stays so
    assert await store.read.effects("t-1") == ()
    await ok(guards=(u.State(table=u.Table.EFFECT, id="q", states=("ended",)),))


@case(u.PutInquiry)
async def test_inquiries(ok, store):
    states = [InquiryState.CREATED, InquiryState.UNDELIVERABLE, InquiryState.COLLECTING, InquiryState.DENIED]
    for n, state in enumerate(states):
        await ok(u.PutInquiry(inquiry=make.inquiry(f"i-{n}", state=state, root=f"t-{n % 2}")))
    assert [one.id for one in await store.read.inquiries()] == ["i-0", "i-1", "i-2"]
    assert [one.id for one in await store.read.inquiries(active_only=False)] == ["i-0", "i-1", "i-2", "i-3"]
    assert [one.id for one in await store.read.inquiries(root="t-1")] == ["i-1"]
    assert [one.id for one in await store.read.inquiries(root="t-1", active_only=False)] == ["i-1", "i-3"]
    assert [one.id for one in await store.read.inquiries(limit=1)] == ["i-0"]
    assert await store.read.inquiry_ids("i-2") == ("i-2",)
    assert await store.read.inquiry("i-9") is None
    await ok(u.PutInquiry(inquiry=make.inquiry("i-0", version=2, state=InquiryState.APPROVED)))
    row = await store.read.inquiry("i-0")
    assert (row.inquiry.version, row.votes, row.deliveries, row.grant) == (2, (), (), None)
    assert (await store.read.counts()).inquiries_active == 2


async def test_what_waits_is_counted_whole_and_shown_in_part(ok, store):
    for n in range(5):
        tier, late = (Tier.EXTERNAL, Tier.READ)[n % 2], n > 2
        await ok(u.PutInquiry(inquiry=make.inquiry(f"i-{n}", tier=tier, overdue=late, people=(("ada", "bob"),))))
    await ok(u.PutInquiry(inquiry=make.inquiry("i-9", state=InquiryState.DENIED, people=(("ada",),))))

    async def ids(**wanted):
        found, n = await store.read.waiting(**wanted)
        return [one.id for one in found], n

    assert await ids() == (["i-0", "i-1", "i-2", "i-3", "i-4"], 5)
    assert await ids(limit=2) == (["i-0", "i-1"], 5)
    assert await ids(tier="external", limit=1) == (["i-0"], 3)
    assert await ids(overdue=True) == (["i-3", "i-4"], 2)
    assert await ids(overdue=True, tier="read") == (["i-3"], 1)
    assert await ids(person="ada", overdue=True, limit=1) == (["i-3"], 2)
    assert await ids(person="eve") == ([], 0)


async def test_what_waits_for_somebody_is_what_they_have_not_voted_on(ok, store):
    async def mine(person):
        return [one.id for one in (await store.read.waiting(person=person))[0]]

    both = make.inquiry(people=(("ada", "bob"), ("cy",)))
    await ok(u.PutInquiry(inquiry=both))
    await ok(u.PutVote(vote=make.vote("1", verb=Verb.VIEW)))
    assert (await mine("ada"), await mine("bob"), await mine("cy")) == (["i-1"], ["i-1"], [])
    await ok(u.PutVote(vote=make.vote("2")))
    assert (await mine("ada"), await mine("bob")) == ([], ["i-1"])
    await ok(u.PutVote(vote=make.vote("3", active=False)))  # taken back
    assert await mine("ada") == ["i-1"]
    await ok(u.PutVote(vote=make.vote("4")), u.PutInquiry(inquiry=replace(both, revision=2, version=2)))
    assert await mine("ada") == ["i-1"]
    await ok(u.PutInquiry(inquiry=replace(both, stage=1, revision=2, version=3)))
    assert (await mine("ada"), await mine("bob"), await mine("cy")) == ([], [], ["i-1"])
    await ok(u.PutInquiry(inquiry=replace(both, state=InquiryState.APPROVED, revision=2, version=4)))
    assert await mine("cy") == []


async def test_votes_of_many_inquiries_come_with_one_look(ok, store):
    for name in ("i-1", "i-2", "i-3"):
        await ok(u.PutInquiry(inquiry=make.inquiry(name, revision=2)))
    await ok(u.PutVote(vote=make.vote("1", of="i-2", revision=2)), u.PutVote(vote=make.vote("2", of="i-1", revision=2)))
    await ok(u.PutVote(vote=make.vote("3", of="i-1")), u.PutVote(vote=make.vote("4", of="i-3", revision=2)))
    await ok(u.PutVote(vote=make.vote("5", of="i-2", revision=2, principal="bob", active=False)))
    assert [v.callback for v in await store.read.votes(("i-1", "i-2", "i-9"))] == ["1", "2"]
    assert await store.read.votes(()) == ()


async def test_what_was_decided_is_found_by_who_what_when_and_how(ok, store):
    action = Action(
        tool="mail",
        arguments={"to": "Straße 5", "token": "hunter22"},
        resource="mail:all",
        verb="send",
        effect=EffectClass.ONCE,
        says="Mails hunter22",
        secrets=("token",),
    )
    await ok(u.PutInquiry(inquiry=make.inquiry("i-0")))
    ended = {"state": InquiryState.DENIED, "ended": (5, ("bob",), "Too EARLY")}
    await ok(u.PutInquiry(inquiry=make.inquiry("i-1", action=action, **ended)))
    approved = make.inquiry("i-2", state=InquiryState.APPROVED, ended=(9, ("ada", "bob"), ""), question="paint it?")
    await ok(u.PutInquiry(inquiry=approved), u.PutVote(vote=make.vote(of="i-2", principal="cy")))
    await ok(u.PutInquiry(inquiry=make.inquiry("i-3", state=InquiryState.EXPIRED, ended=(9, ("deadline",), ""))))

    async def ids(**wanted):
        return [one.id for one in await store.read.decisions(**wanted)]

    assert await ids() == ["i-3", "i-2", "i-1"]
    assert await ids(limit=1) == ["i-3"]
    assert await ids(who="bob") == ["i-2", "i-1"]
    assert await ids(who="cy") == ["i-2"]
    assert await ids(since_ms=6) == ["i-3", "i-2"]
    assert await ids(state="denied") == ["i-1"]
    assert await ids(what=("early", "MAIL")) == ["i-1"]
    assert await ids(what=("strasse",)) == ["i-1"]
    assert await ids(what=("paint", "mail")) == []
    assert await ids(what=("hunter22",)) == [], "a secret is nothing to search by"
    await ok(u.PutInquiry(inquiry=replace(approved, state=InquiryState.OPEN, resolution=None, version=2)))
    assert await ids() == ["i-3", "i-1"]


@case(u.PutVote)
async def test_votes(ok, store):
    async def votes():
        return [one.callback for one in (await store.read.inquiry("i-1")).votes]

    await ok(u.PutInquiry(inquiry=make.inquiry()))
    await ok(u.PutVote(vote=make.vote("1")), u.PutVote(vote=make.vote("2", principal="bob")))
    await ok(u.PutVote(vote=make.vote("3", stage=1)), u.PutVote(vote=make.vote("4", revision=2)))
    assert await votes() == ["1", "2", "3"]
    await ok(u.PutVote(vote=make.vote("5")))
    assert await votes() == ["2", "3", "5"]
    await ok(u.PutVote(vote=make.vote("1")), u.PutVote(vote=make.vote("2", principal="ada")))  # known callbacks
    assert await votes() == ["2", "3", "5"]
    await ok(u.PutVote(vote=make.vote("6", active=False)))  # taken back
    assert await votes() == ["2", "3"]
    await ok(u.PutInquiry(inquiry=make.inquiry(version=2, revision=2)))
    assert await votes() == ["4"]


@case(u.UseGrant)
async def test_a_bounded_grant_is_used_up_one_by_one(do, ok, store):
    three = replace(make.grant(), bounds=Bounds(count_max=3, within_ms=9, free={"site": ("döcs", 1)}))
    await ok(u.PutGrant(grant=three), u.PutGrant(grant=make.grant("once")))
    for unknown in ("g-1", "nobody"):
        await is_unique(do, u.UseGrant(id=unknown, used_n=2))
    await ok(u.UseGrant(id="g-1", used_n=1))
    await is_unique(do, u.UseGrant(id="g-1", used_n=1))  # two that looked at the same moment
    assert await store.read.grant("g-1") == replace(three, used_n=1)
    await ok(u.UseGrant(id="g-1", used_n=2), u.UseGrant(id="g-1", used_n=3), u.UseGrant(id="once", used_n=1))
    for used_up, n in (("g-1", 3), ("once", 1)):
        found = await store.read.grant(used_up)
        assert (found.state, found.used_n) == (GrantState.CONSUMED, n)
        await is_unique(do, u.UseGrant(id=used_up, used_n=n + 1))
    await ok(u.PutGrant(grant=replace(three, id="g-2")), u.MoveGrant(id="g-2", state=GrantState.REVOKED))
    await is_unique(do, u.UseGrant(id="g-2", used_n=1))


@case(u.PutGrant, u.MoveGrant)
async def test_grants(ok, store):
    await ok(u.PutInquiry(inquiry=make.inquiry()), u.PutGrant(grant=make.grant("g-1")))
    await ok(u.PutGrant(grant=make.grant("g-1", digest="other")))
    assert await store.read.grant("g-1") == make.grant("g-1")
    live = u.State(table=u.Table.GRANT, id="g-1", states=("live",))
    await ok(u.MoveGrant(id="g-1", state=GrantState.CONSUMED), guards=(live,))
    assert (await store.read.grant("g-1")).state is GrantState.CONSUMED
    assert (await store.read.inquiry("i-1")).grant.state is GrantState.CONSUMED
    await ok(u.PutGrant(grant=make.grant("g-2")), u.MoveGrant(id="unknown", state=GrantState.EXPIRED))
    assert (await store.read.inquiry("i-1")).grant == make.grant("g-2")
    assert await store.read.grant("unknown") is None


@case(u.PutAttempt, u.MoveAttempt)
async def test_attempts(do, ok, store):
    attempt = Attempt(id="e", grant="g-1", state=AttemptState.RESERVED)
    await ok(u.PutAttempt(attempt=attempt))
    await is_unique(do, u.PutAttempt(attempt=attempt))
    assert await store.read.attempt("e") == attempt
    await ok(u.MoveAttempt(id="e", state=AttemptState.UNKNOWN), u.MoveAttempt(id="f", state=AttemptState.FAILED))
    assert (await store.read.attempt("e")).state is AttemptState.UNKNOWN
    assert await store.read.attempt("f") is None


@case(u.PutDelivery, u.MoveDelivery)
async def test_deliveries(ok, store):
    await ok(u.PutInquiry(inquiry=make.inquiry()))
    await ok(u.PutDelivery(delivery=make.delivery("d-1")), u.PutDelivery(delivery=make.delivery("d-2", nonce="h2")))
    assert await store.read.delivery("h1") == make.delivery("d-1")
    assert await store.read.delivery("h9") is None
    await ok(u.MoveDelivery(id="d-1", state=DeliveryState.POSTED, receipt="m1"))
    await ok(
        u.MoveDelivery(id="d-1", state=DeliveryState.FINALISED), u.MoveDelivery(id="d-9", state=DeliveryState.GONE)
    )
    moved = make.delivery("d-1", state=DeliveryState.FINALISED, receipt="m1")
    assert await store.read.delivery("h1") == moved
    assert (await store.read.inquiry("i-1")).deliveries == (moved, make.delivery("d-2", nonce="h2"))
    await ok(u.PutDelivery(delivery=make.delivery("d-1", nonce="h3")))
    assert await store.read.delivery("h1") is None
    assert (await store.read.delivery("h3")).id == "d-1"


@case(u.Reserve, u.Settle)
async def test_budgets(do, ok, store):
    day = u.Reserve(scope="day", id="e", tokens=10, microusd=20)
    task = u.Reserve(scope="task", id="e", tokens=10, microusd=20)
    await ok(day, task)
    await ok(day)
    await is_unique(do, u.Reserve(scope="day", id="e", tokens=11, microusd=20))
    await ok(u.Reserve(scope="day", id="f", tokens=1, microusd=2))
    assert await store.read.spent("day") == u.Spent(reserved_tokens=11, reserved_microusd=22)
    await ok(u.Settle(id="e", tokens=3, microusd=4))
    await ok(u.Settle(id="e", tokens=3, microusd=4), u.Settle(id="unknown", tokens=3, microusd=4))
    await ok(day)  # settled: it holds nothing again
    assert await store.read.spent("day") == u.Spent(tokens=3, microusd=4, reserved_tokens=1, reserved_microusd=2)
    assert await store.read.spent("task") == u.Spent(tokens=3, microusd=4)


@case(u.AddAudit, u.Seal)
async def test_audit(do, ok, store):
    await ok(*(u.AddAudit(row=make.audit(name)) for name in ("b", "a", "b")))
    assert await store.read.unsealed(9) == (make.audit("b"), make.audit("a"))
    assert len(await store.read.unsealed(1)) == 1
    assert await store.read.chain_head() == (0, "")
    await is_unique(do, u.Seal(id="b", seq=2, previous="", hash="h"))
    await is_unique(do, u.Seal(id="b", seq=1, previous="wrong", hash="h"))
    await is_unique(do, u.Seal(id="unknown", seq=1, previous="", hash="h"))
    await ok(u.Seal(id="b", seq=1, previous="", hash="h1"), u.Seal(id="a", seq=2, previous="h1", hash="h2"))
    await is_unique(do, u.Seal(id="b", seq=3, previous="h2", hash="h"))
    assert await store.read.unsealed(9) == ()
    assert await store.read.chain_head() == (2, "h2")
    second = u.Sealed(seq=2, hash="h2", previous="h1", row=make.audit("a"))
    assert await store.read.chain(after=1) == (second,)
    assert [one.seq for one in await store.read.chain(limit=1)] == [1]


async def test_facts_are_listed_by_how_their_names_begin(ok, store):
    await ok(u.SetMeta(name="a:2", value="two"), u.SetMeta(name="a:1", value="one"), u.SetMeta(name="b:1", value="x"))
    assert await store.read.facts("a:") == (("a:1", "one"), ("a:2", "two"))
    assert await store.read.facts("a:", 1) == (("a:1", "one"),)
    await ok(u.SetMeta(name="a:1", value=""))
    assert await store.read.facts("a:") == (("a:2", "two"),)


@case(u.PutBlob, u.SetMeta)
async def test_blobs_and_facts(ok, store):
    await ok(u.PutBlob(hash="h", body=b"\x00\xff"), u.SetMeta(name="n", value="1"))
    await ok(u.PutBlob(hash="h", body=b"\x00\xff"), u.SetMeta(name="n", value="2"))
    assert await store.read.blob("h") == b"\x00\xff"
    assert await store.read.blob("other") is None
    assert await store.read.meta("n") == "2"
    assert await store.read.meta("other") is None


@case(u.Pause)
async def test_pauses(ok, store):
    await ok(u.PutTask(task=make.task("t-1")), u.PutTask(task=make.task("t-2", parent="t-1", role="cto")))
    await ok(u.PutTask(task=make.task("t-22", role="qa")))
    await ok(*(make.add_effect(f"e{of}", of=of, role=role) for of, role in (("t-2", "cto"), ("t-22", "qa"))))
    left = {"all": [], "role:cto": ["et-22"], "task:t-1": ["et-22"], "task:t-2": ["et-22"], "task:t-22": ["et-2"]}
    for scope, free in left.items():
        await ok(u.Pause(scope=scope, paused=True, by="ada"), u.Pause(scope=scope, paused=True, by="bob"))
        assert await store.read.paused() == (scope,)
        assert (await store.read.counts()).effects_open == len(free)
        leased = await store.claim_effects(make.claim(lease_ms=0))
        assert [one.effect.id for one in leased] == free
        await ok(*(u.RequeueEffect(id=one.effect.id, not_before_ms=0) for one in leased))
        await ok(u.Pause(scope=scope, paused=False))
    assert await store.read.paused() == ()
    assert len(await store.claim_effects(make.claim())) == 2


# --- Claims of effects ----------------------------------------------------------------------------------------------


async def test_effects_are_leased_oldest_first_within_the_cap_of_their_role(ok, store):
    await ok(u.PutTask(task=make.task()))
    for n in range(4):
        await ok(make.add_effect(f"c{n}"), make.add_effect(f"d{n}", role="dev"))
    assert [one.effect.id for one in await store.claim_effects(make.claim(n=1, dev=2))] == ["c0"]
    leased = await store.claim_effects(make.claim(dev=2, holder="h"))
    assert [one.effect.id for one in leased] == ["d0", "d1"]
    assert (leased[0].holder, leased[0].task) == ("h", make.task())
    assert await store.claim_effects(make.claim(dev=2)) == ()
    await ok(u.EndEffect(id="c0"), u.EndEffect(id="d1"))
    assert [one.effect.id for one in await store.claim_effects(make.claim(dev=2))] == ["c1", "d2"]
    assert await store.claim_effects(make.claim(ceo=0, dev=0)) == ()


async def test_of_one_role_no_more_are_leased_at_a_time_than_its_batch(ok, store):
    await ok(u.PutTask(task=make.task()))
    for n in range(3):
        await ok(make.add_effect(f"c{n}"), make.add_effect(f"d{n}", role="dev"))
    claim = msgspec.structs.replace(make.claim(ceo=9, dev=9), batches={"ceo": 2})
    assert [one.effect.id for one in await store.claim_effects(claim)] == ["c0", "d0", "c1", "d1", "d2"]
    assert [one.effect.id for one in await store.claim_effects(claim)] == ["c2"]


async def test_a_directly_started_effect_counts_against_the_cap(ok, store):
    await ok(u.PutTask(task=make.task()), make.add_effect("s", holder="me", lease_ms=1000), make.add_effect("q"))
    assert await store.claim_effects(make.claim()) == ()
    assert [one.effect.id for one in await store.claim_effects(make.claim(ceo=2))] == ["q"]


async def test_a_lapsed_lease_comes_back_as_again(ok, store, clock):
    await ok(u.PutTask(task=make.task()), make.add_effect("s", holder="me", lease_ms=100), make.add_effect("q"))
    clock.at_ms += 99
    assert await store.claim_effects(make.claim()) == ()
    clock.at_ms += 1
    (leased,) = await store.claim_effects(make.claim())  # one place: what was begun goes first
    assert (leased.effect.id, leased.fence, leased.again, leased.attempt_n) == ("s", 2, True, 2)
    assert await store.claim_effects(make.claim()) == ()


async def test_a_new_boot_voids_every_lease(ok, store):
    await ok(u.PutTask(task=make.task()), make.add_effect("s", holder="me", lease_ms=10**6), make.add_effect("q"))
    await ok(u.AddPost(post=make.post()))
    await store.claim_effects(make.claim(lease_ms=10**6, ceo=2))
    await store.claim_posts(make.claim_posts(lease_ms=10**6))
    before = await store.read.meta("engine.boot")
    assert await store.new_boot() == int(before) + 1
    leased = await store.claim_effects(make.claim(ceo=2))
    assert [(one.effect.id, one.fence, one.again) for one in leased] == [("s", 2, True), ("q", 2, True)]
    (post,) = await store.claim_posts(make.claim_posts())
    assert (post.fence, post.again) == (2, True)
    assert await store.claim_effects(make.claim(ceo=2)) == ()


async def test_a_paused_lapsed_effect_blocks_nobody(ok, store, clock):
    await ok(u.PutTask(task=make.task("t-1")), u.PutTask(task=make.task("t-2")))
    await ok(make.add_effect("s", holder="me", lease_ms=1), u.Pause(scope="task:t-1", paused=True))
    await ok(make.add_effect("q", of="t-2"))
    clock.at_ms += 1
    assert [one.effect.id for one in await store.claim_effects(make.claim())] == ["q"]


async def test_effects_of_an_ending_task_may_still_be_claimed(ok, store):
    await ok(u.PutTask(task=make.task(phase=Phase.CANCELLED)), make.add_effect("e"))
    (leased,) = await store.claim_effects(make.claim())
    assert leased.task.phase is Phase.CANCELLED


# --- Posts ----------------------------------------------------------------------------------------------------------


@case(u.AddPost, u.MovePost)
async def test_posts_go_one_at_a_time_in_order_by_conversation(ok, store):
    for name, rank in (("a", 1), ("b", 1), ("card", 0)):
        await ok(u.AddPost(post=make.post(name, rank=rank)))
    await ok(u.AddPost(post=make.post("a", rank=0)))  # known
    await ok(u.AddPost(post=make.post("z", conversation=THERE)))
    await ok(u.AddPost(post=make.post("other", conversation=HERE.__class__(platform="slack", account="", channel=""))))

    async def heads():
        leased = await store.claim_posts(make.claim_posts(platforms=("console", "telegram")))
        return [(one.post.id, one.fence, one.again, one.attempt_n) for one in leased]

    assert await heads() == [("card", 1, False, 1), ("z", 1, False, 1)]
    assert await heads() == []
    await ok(u.MovePost(id="card", state=u.PostState.SENT, receipt="m1"))
    assert await heads() == [("a", 1, False, 1)]
    await ok(u.MovePost(id="a", state=u.PostState.DEAD, error="gone"))
    assert await heads() == [("b", 1, False, 1)]
    await ok(u.MovePost(id="b", state=u.PostState.UNCERTAIN), u.MovePost(id="unknown", state=u.PostState.SENT))
    rows = await store.read.posts(conversation=HERE)
    assert [(row.post.id, row.state, row.receipt, row.error) for row in rows] == [
        ("card", "sent", "m1", ""),
        ("b", "uncertain", "", ""),
        ("a", "dead", "", "gone"),
    ]
    assert [row.post.id for row in await store.read.posts(limit=2)] == ["other", "z"]
    assert (await store.read.counts()).posts_open == 2
    assert (await store.read.counts(("slack",))).posts_open == 1
    assert (await store.read.counts(())).posts_open == 0


async def test_a_lane_waits_for_its_time_and_no_other_does(ok, store, clock):
    for name, where in (("a", HERE), ("b", HERE), ("z", THERE), ("y", THERE)):
        await ok(u.AddPost(post=make.post(name, conversation=where)))
    claim = make.claim_posts(platforms=("console", "telegram"))
    await store.claim_posts(claim)
    await ok(
        u.MovePost(id="a", state=u.PostState.QUEUED, not_before_ms=clock.at_ms + 10),
        u.MovePost(id="z", state=u.PostState.SENT),
    )
    assert [one.post.id for one in await store.claim_posts(claim)] == ["y"]
    clock.at_ms += 10
    assert [(one.post.id, one.attempt_n, one.again) for one in await store.claim_posts(claim)] == [("a", 2, False)]


async def test_a_lapsed_post_comes_back_as_again_and_first(ok, store, clock):
    await ok(u.AddPost(post=make.post("a")))
    await store.claim_posts(make.claim_posts(lease_ms=10))
    await ok(u.AddPost(post=make.post("card", rank=0)))
    assert await store.claim_posts(make.claim_posts()) == ()
    clock.at_ms += 10
    (leased,) = await store.claim_posts(make.claim_posts())
    assert (leased.post.id, leased.fence, leased.again, leased.attempt_n) == ("a", 2, True, 2)


async def test_posts_of_a_slot_are_one_message(ok, store):
    async def send(receipt):
        (leased,) = await store.claim_posts(make.claim_posts())
        await ok(u.MovePost(id=leased.post.id, state=u.PostState.SENT, receipt=receipt))
        return leased.post.id, leased.edits

    await ok(u.AddPost(post=make.post("1", slot="s")), u.AddPost(post=make.post("2", slot="s")))
    assert [(row.post.id, row.state) for row in await store.read.posts(slot="s")] == [
        ("2", "queued"),
        ("1", "superseded"),
    ]
    assert await send("m1") == ("2", "")
    await ok(u.AddPost(post=make.post("3", slot="s")), u.AddPost(post=make.post("4", slot="other")))
    assert await send("m2") == ("3", "m1")
    assert await send("m3") == ("4", "")
    await ok(u.AddPost(post=make.post("1", slot="s")))  # known and superseded: it stays so
    assert await store.claim_posts(make.claim_posts()) == ()
    await ok(u.AddPost(post=make.post("5", slot="s")))
    assert await send("m2") == ("5", "m2")


async def test_a_retried_post_gives_way_to_a_newer_one_which_waits_in_its_place(ok, store, clock):
    await ok(u.AddPost(post=make.post("1", slot="s")))
    await store.claim_posts(make.claim_posts())
    await ok(u.AddPost(post=make.post("2", slot="s")))
    await ok(u.MovePost(id="1", state=u.PostState.QUEUED, not_before_ms=clock.at_ms + 10))
    assert [row.state for row in await store.read.posts(slot="s")] == ["queued", "superseded"]
    await ok(u.AddPost(post=make.post("3", slot="s")))
    assert await store.claim_posts(make.claim_posts()) == ()
    clock.at_ms += 10
    assert [one.post.id for one in await store.claim_posts(make.claim_posts())] == ["3"]


async def test_a_post_of_several_parts_goes_on_where_it_was_before_anything_else(ok, store):
    await ok(u.AddPost(post=make.post("a")))
    (leased,) = await store.claim_posts(make.claim_posts())
    assert (leased.part, leased.receipt) == (0, "")
    await ok(u.AddPost(post=make.post("card", rank=0)))
    await ok(u.MovePost(id="a", state=u.PostState.QUEUED, receipt="m1", part=1))
    (leased,) = await store.claim_posts(make.claim_posts())
    assert (leased.post.id, leased.part, leased.receipt, leased.again) == ("a", 1, "m1", False)


async def test_a_post_in_doubt_comes_back_as_again(ok, store):
    await ok(u.AddPost(post=make.post("a")))
    for doubt in (True, False):
        await store.claim_posts(make.claim_posts())
        await ok(u.MovePost(id="a", state=u.PostState.QUEUED, doubt=doubt))
        (leased,) = await store.claim_posts(make.claim_posts())
        assert leased.again is doubt
        await ok(u.MovePost(id="a", state=u.PostState.QUEUED))


@case(u.LinkAccount, u.UnlinkAccount)
async def test_an_account_is_one_persons(ok, store):
    first = AccountLink(account="slack:U1", person="ana", by="you", at_ms=1)
    second = AccountLink(account="slack:U1", person="bo", by="you", at_ms=2)
    other = AccountLink(account="discord:1", person="ana", by="ana", at_ms=3)
    assert await store.read.account("slack:U1") is None
    await ok(u.LinkAccount(link=first))
    assert await store.read.account("slack:U1") == first
    await ok(u.LinkAccount(link=second), u.LinkAccount(link=other))
    assert await store.read.accounts() == (other, second)
    await ok(u.UnlinkAccount(account="slack:U1"), u.UnlinkAccount(account="nobody:0"))
    assert await store.read.accounts() == (other,)


async def test_where_the_team_was_given_work(ok, store):
    await ok(u.PutTask(task=make.task("t-1")), u.PutTask(task=make.task("t-2", conversation=THERE)))
    await ok(u.PutTask(task=make.task("t-3", phase=Phase.DONE)))
    thread = msgspec.structs.replace(HERE, thread="a/b")
    await ok(u.PutTask(task=make.task("t-4", parent="t-1", root="t-1", conversation=thread)))
    assert await store.read.talked(HERE)
    assert not await store.read.talked(thread)
    await ok(u.PutTask(task=make.task("t-5", conversation=thread)))
    assert await store.read.places("console", "a", 9) == (thread, HERE)
    assert await store.read.places("console", "a", 1) == (thread,)
    assert await store.read.places("telegram", "a", 9) == ()


async def test_an_empty_slot_is_nobodys(ok, store):
    await ok(u.AddPost(post=make.post("1", slot="")), u.AddPost(post=make.post("2", slot="")))
    assert [row.state for row in await store.read.posts()] == ["queued", "queued"]


async def test_what_was_said(ok, store):
    await ok(u.AddEvent(event=make.event("1", text="hi")))
    await ok(u.AddEvent(event=make.event("2", text="elsewhere", conversation=THERE)))
    await ok(u.AddPost(post=make.post("status")), u.AddPost(post=make.post("a", slot="a", text="old", answer=True)))
    await ok(u.AddPost(post=make.post("b", slot="a", text="hello", answer=True)))
    await ok(u.AddEvent(event=make.event("3", text="thanks")))
    said = await store.read.said(HERE, 9)
    assert [(one.speaker, one.text, one.by_agent) for one in said] == [
        ("Ada", "hi", False),
        ("CEO", "hello", True),
        ("Ada", "thanks", False),
    ]
    assert [one.text for one in await store.read.said(HERE, 2)] == ["hello", "thanks"]
    assert await store.read.said(HERE, 9, 2_000_000_000_000) == ()
    assert len(await store.read.said(HERE, 9, 1)) == 3


async def test_counts(ok, store, clock):
    await ok(u.AddEvent(event=make.event()), u.AddPost(post=make.post()), u.PutTask(task=make.task()))
    await ok(u.AddSignal(signal=make.signal("a")), u.AddSignal(signal=make.signal("b", due_at_ms=clock.at_ms + 1)))
    await ok(make.add_effect("e"), u.PutInquiry(inquiry=make.inquiry()))
    assert await store.read.counts() == u.Counts(
        events_new=1, signals_due=1, effects_open=1, posts_open=1, tasks_open=1, inquiries_active=1
    )


async def test_results_survive_the_way_to_the_disk(ok, store):
    result = Failure(what="w", why="y \N{SNOWMAN}", recovery="r")
    whole = make.task(phase=Phase.FAILED, result=result, thinking="e", denied=("a", "b"))
    await ok(u.PutTask(task=whole))
    assert await store.read.task("t-1") == whole


# --- What is remembered ---------------------------------------------------------------------------------------------


def ids(found):
    return [one.id for one in found]


@case(u.PutMemory)
async def test_what_is_remembered_is_there_until_it_runs_out(ok, store, clock):
    note = make.memory("m-2", "A note of today", at_ms=2, expires_at_ms=clock.at_ms + 10)
    await ok(u.PutMemory(memory=make.memory("m-1")), u.PutMemory(memory=note))
    await ok(u.PutMemory(memory=make.memory("m-1", "other words")))  # known: nothing changes
    await ok(u.PutMemory(memory=make.memory("m-3", place=make.TEAM)))
    assert await store.read.memories((make.DEV,)) == (note, make.memory("m-1"))
    assert ids(await store.read.memories((make.DEV, make.TEAM), 2)) == ["m-2", "m-3"]
    assert await store.read.memories(()) == ()
    assert ids(await store.read.memories_like("m-")) == ["m-1", "m-2", "m-3"]
    assert await store.read.memories_like("x") == ()
    clock.at_ms += 10
    assert ids(await store.read.memories((make.DEV,))) == ["m-1"]
    assert await store.read.memories_spent(0, 9) == ("m-2",)


async def test_what_a_task_is_shown_when_it_begins(ok, store, clock):
    for n in range(4):
        await ok(u.PutMemory(memory=make.memory(f"m-{n}", at_ms=n)))
    await ok(u.PutMemory(memory=make.memory("m-p", layer=Layer.PRINCIPLE, reason="r")))
    await ok(u.PutMemory(memory=make.memory("m-k", layer=Layer.KEPT, at_ms=9)))
    await ok(u.PutMemory(memory=make.memory("m-u", untrusted=True, at_ms=9)))
    await ok(u.PutMemory(memory=make.memory("m-s", secrecy=Secrecy.PERSONAL, at_ms=9)))
    await ok(u.PutMemory(memory=make.memory("m-old", place=BOARD, at_ms=50)))
    await ok(u.PutMemory(memory=make.memory("m-new", place=BOARD, at_ms=60)))
    here, cleared = (make.DEV, BOARD), (Secrecy.PUBLIC, Secrecy.INTERNAL)
    found = await store.read.memory_view(here, cleared, 3, 60)
    assert ids(found) == ["m-new", "m-3", "m-2", "m-p", "m-k"]
    assert ids(await store.read.memory_view(here, cleared, 1, 60, 1)) == ["m-new", "m-p"]
    assert "m-s" in ids(await store.read.memory_view(here, make.CLEARED, 9, 60))


async def test_what_is_remembered_is_found_by_its_words(ok, store, clock):
    texts = {
        "m-1": "The café opens on Tuesday",
        "m-2": "Deploy the landing page on TUESDAY",
        "m-3": "Straße and run_command",
        "m-4": "東京 is the host",
    }
    for name, text in texts.items():
        await ok(u.PutMemory(memory=make.memory(name, text)))
    await ok(u.PutMemory(memory=make.memory("m-5", "Tuesday of the team", place=make.TEAM)))
    await ok(u.PutMemory(memory=make.memory("m-6", "Tuesday, Ana", secrecy=Secrecy.PERSONAL)))
    await ok(u.PutMemory(memory=make.memory("m-7", "Tuesday once", expires_at_ms=clock.at_ms)))

    async def found(words, places=(make.DEV,), classes=(Secrecy.INTERNAL,), n=9):
        return ids(await store.read.memories_found(words_of(words), places, classes, n))

    assert await found("tuesday") == ["m-2", "m-1"]
    assert await found("Tuesday", n=1) == ["m-2"]
    assert await found("CAFE tuesday") == ["m-1"]
    assert await found("deploy cafe") == ["m-2", "m-1"]  # nothing has both: whatever has one
    assert await found("the cafe opens deploy") == ["m-1", "m-2", "m-4"]  # the most first
    assert await found("when does the café open, on which Tuesday") == ["m-1", "m-2", "m-4"]
    assert await found("strasse") == ["m-3"]
    assert await found("command") == ["m-3"]
    assert await found("京") == ["m-4"]
    assert await found("tuesday", (make.DEV, make.TEAM)) == ["m-5", "m-2", "m-1"]
    assert await found("tuesday", classes=make.CLEARED) == ["m-6", "m-2", "m-1"]
    assert await found("tuesday", ()) == []
    assert await found("") == []
    assert await found('NEAR("tuesday"') == ["m-2", "m-1"]  # words, whatever they would mean to an index


@case(u.SupersedeMemory)
async def test_what_is_superseded_is_kept_and_found_no_more(do, ok, store):
    await ok(u.PutMemory(memory=make.memory("m-1")), u.PutMemory(memory=make.memory("m-2", "On Wednesdays")))
    live = u.State(table=u.Table.MEMORY, id="m-1", states=("live",))
    await ok(u.SupersedeMemory(id="m-1", by="m-2"), guards=(live,))
    await refused(do, live)
    await ok(u.SupersedeMemory(id="m-1", by="m-9"), u.SupersedeMemory(id="unknown", by="m-2"))
    assert ids(await store.read.memories((make.DEV,))) == ["m-2"]
    assert await store.read.memories_found(("tuesdays",), (make.DEV,), make.CLEARED, 9) == ()
    assert ids(await store.read.memory_view((make.DEV,), make.CLEARED, 9, 0)) == ["m-2"]
    (old,) = await store.read.memories_archived(make.DEV)
    assert (old.id, old.superseded_by) == ("m-1", "m-2")
    assert await store.read.memories_spent(1, 9) == ()
    assert await store.read.memories_spent(2, 9) == ("m-1",)
    await ok(u.PutMemory(memory=make.memory("m-3", superseded_by="m-2")))  # as a copy of one would be
    assert await store.read.memories_found(("tuesdays",), (make.DEV,), make.CLEARED, 9) == ()


@case(u.ForgetMemories)
async def test_what_is_forgotten_is_gone(ok, store):
    for name, people in (("m-1", ("ana",)), ("m-2", ("bo", "ana")), ("m-3", ("bo",)), ("m-4", ()), ("m-5", ())):
        await ok(u.PutMemory(memory=make.memory(name, people=people)))
    await ok(u.SupersedeMemory(id="m-2", by="m-3"))
    assert ids(await store.read.memories_of("ana")) == ["m-2", "m-1"]
    assert ids(await store.read.memories_of("ana", 1)) == ["m-2"]
    await ok(u.ForgetMemories(ids=("m-4", "unknown"), person="ana"), u.ForgetMemories(), u.ForgetMemories(person="eve"))
    assert await store.read.memories_of("ana") == ()
    assert ids(await store.read.memories_like("m-")) == ["m-3", "m-5"]
    assert ids(await store.read.memories_found(("tuesdays",), (make.DEV,), make.CLEARED, 9)) == ["m-5", "m-3"]
    await ok(u.PutMemory(memory=make.memory("m-1", "anew", people=("ana",))))
    assert ids(await store.read.memories_of("ana")) == ["m-1"]
