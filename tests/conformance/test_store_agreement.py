"""The fake and the real store give the same answers to the same random work."""

import random

import pytest

from core.adapters.memory import MemoryStore
from core.adapters.sqlite.store import SqliteStore
from core.model import unit as u
from core.model.inquiries import Attempt, AttemptState, DeliveryState, GrantState, InquiryState
from core.model.memory import BOARD, EVERYBODY, Layer, Secrecy
from core.model.team import Tier
from core.model.work import Phase
from core.rules.remembering import words_of
from tests.conformance import store_cases as make
from tests.conformance.store_cases import HERE, THERE

TASKS = ("t-1", "t-2", "t-3")
PARENTS = {"t-2": "t-1"}
ROLES = ("ceo", "dev")
SLOTS = ("", "s", "r")
PLACES = (make.DEV, make.TEAM, EVERYBODY, BOARD)
LOW = (Secrecy.PUBLIC,)


def change(r: random.Random, now: int):
    """One of the changes, over so few ids that they meet."""
    task, n = r.choice(TASKS), r.randrange(4)
    scope, when = r.choice(("all", "role:ceo", "task:t-1")), now + r.randrange(-20, 20)
    where = r.choice((HERE, THERE))
    post = make.post(f"p{r.randrange(30)}", slot=r.choice(SLOTS), rank=n % 2, conversation=where, answer=n == 0)
    phase = r.choice((*[Phase.WORKING] * 4, Phase.CANCELLING, Phase.DONE))
    holder = r.choice(("", "w"))
    return r.choice(
        (
            u.AddEvent(event=make.event(f"e{r.randrange(20)}", conversation=where)),
            u.CloseEvent(key=f"e{r.randrange(20)}", task=task),
            u.AddSignal(signal=make.signal(f"s{n}", due_at_ms=when, of=task)),
            u.CloseSignal(id=f"s{r.randrange(20)}"),
            u.PutTask(task=make.task(task, parent=PARENTS.get(task), version=r.randrange(1, 5), phase=phase)),
            u.AddEntry(task=task, n=r.randrange(30), entry=make.entry()),
            make.add_effect(
                f"f{r.randrange(40)}", task, r.choice(ROLES), not_before_ms=when, holder=holder, lease_ms=9
            ),
            u.EndEffect(id=f"f{r.randrange(40)}"),
            u.RequeueEffect(id=f"f{r.randrange(40)}", not_before_ms=when),
            u.PutInquiry(inquiry=asked(r, n)),
            u.PutVote(vote=make.vote(f"c{r.randrange(20)}", principal=r.choice("ab"), active=n > 0, of="i-1")),
            u.PutGrant(grant=make.grant(f"g{n}", of="i-1")),
            u.MoveGrant(id=f"g{n}", state=r.choice(tuple(GrantState))),
            u.UseGrant(id=f"g{n}", used_n=r.randrange(1, 3)),
            u.PutAttempt(attempt=Attempt(id=f"a{r.randrange(9)}", grant="g1", state=AttemptState.RESERVED)),
            u.MoveAttempt(id=f"a{n}", state=AttemptState.STARTED),
            u.PutDelivery(delivery=make.delivery(f"d{n}", of="i-1", nonce=f"h{n}")),
            u.MoveDelivery(id=f"d{n}", state=DeliveryState.POSTED, receipt=r.choice(("", "m"))),
            u.AddPost(post=post),
            u.MovePost(
                id=post.id, state=r.choice(tuple(u.PostState)), not_before_ms=when, receipt=r.choice(("", f"m{n}"))
            ),
            u.Reserve(scope=f"b{n}", id=f"f{r.randrange(9)}", tokens=5, microusd=n % 2),
            u.Settle(id=f"f{r.randrange(9)}", tokens=3, microusd=2),
            u.AddAudit(row=make.audit(f"au{r.randrange(20)}")),
            u.Seal(id=f"au{r.randrange(20)}", seq=r.randrange(1, 4), previous=r.choice(("", "h")), hash="h"),
            u.Pause(scope=scope, paused=n == 0),
            u.SetMeta(name=f"n{n}", value=r.choice((task, ""))),
            u.PutMemory(memory=remembered(r, now)),
            u.SupersedeMemory(id=f"m-{r.randrange(30)}", by=f"m-{n}"),
            u.ForgetMemories(ids=(f"m-{r.randrange(30)}",), person=r.choice(("ana", "", "", ""))),
        )
    )


def remembered(r: random.Random, now: int):
    """An entry of few words."""
    return make.memory(
        f"m-{r.randrange(30)}",
        " ".join(r.choices(("Deploy", "Tuesday", "Straße", "café", "no_go", "日本"), k=r.randrange(4))),
        place=r.choice(PLACES),
        layer=r.choice(tuple(Layer)),
        secrecy=r.choice(tuple(Secrecy)),
        people=r.choice(((), ("ana",), ("ana", "bo"))),
        at_ms=now + r.randrange(3),
        expires_at_ms=r.choice((None, now + r.randrange(30))),
        untrusted=r.choice((True, False)),
    )


def asked(r: random.Random, n: int):
    """An inquiry that people may decide, or that has ended."""
    state = r.choice(tuple(InquiryState))
    return make.inquiry(
        f"i-{n}",
        revision=1 + n % 2,
        state=state,
        people=r.choice(((), ("ab",), ("a", "bc"), ("c",))),
        stage=r.randrange(2),
        overdue=r.choice((True, False)),
        tier=r.choice((Tier.READ, Tier.EXTERNAL)),
        why=r.choice(("Because", "For STRASSE", "")),
        ended=(r.randrange(5), (r.choice("ab"),), "too late") if state.final and n else None,
    )


def guard(r: random.Random):
    n = r.randrange(4)
    return r.choice(
        (
            u.Version(table=u.Table.TASK, id=r.choice(TASKS), version=n),
            u.Version(table=u.Table.INQUIRY, id=f"i-{n}", version=n % 2),
            u.Fence(table=u.Table.EFFECT, id=f"f{r.randrange(40)}", fence=1),
            u.Fence(table=u.Table.POST, id=f"p{r.randrange(30)}", fence=1),
            u.State(table=u.Table.EVENT, id=f"e{n}", states=("", "new")),
            u.Room(scope=f"b{n}", tokens=5, microusd=1, tokens_max=20, microusd_max=9),
            u.InsertOnce(key=f"k{r.randrange(30)}", digest=r.choice("xy")),
            u.State(table=u.Table.MEMORY, id=f"m-{r.randrange(9)}", states=("", "live")),
        )
    )


async def seen(store, now):
    """Everything the reading side shows."""
    read = store.read
    return {
        "tasks": await read.tasks(),
        "tree": await read.tasks(root="t-1", open_only=True),
        "journals": [await read.journal(task) for task in TASKS],
        "effects": [await read.effects(task) for task in TASKS],
        "roots": [await read.open_root(where) for where in (HERE, THERE)],
        "inquiries": await read.inquiries(active_only=False),
        "active": await read.inquiries(),
        "inquiry": await read.inquiry("i-1"),
        "waiting": [
            await read.waiting(person=who, overdue=late, tier=tier, limit=n)
            for who in ("", "a", "b", "c")
            for late in (False, True)
            for tier in ("", "external")
            for n in (1, 9)
        ],
        "votes": await read.votes(("i-2", "i-1", "i-9")),
        "decisions": [
            await read.decisions(who=who, what=what, since_ms=since, state=state, limit=2)
            for who in ("", "a")
            for what in ((), ("STRASSE",), ("because", "i-"), ("late",))
            for since in (0, 3)
            for state in ("", "denied")
        ],
        "memories": [await read.memories(PLACES[:n], 9) for n in range(len(PLACES) + 1)],
        "view": [await read.memory_view(PLACES, who, n, now - 9, n) for who in (LOW, make.CLEARED) for n in (2, 9)],
        "found": [
            await read.memories_found(words_of(words), where, who, n)
            for words in (
                "deploy",
                "TUESDAY cafe",
                "strasse no",
                "no go",
                "本",
                "nothing",
                "",
                "a deploy no cafe go tuesday",
            )
            for where in (PLACES, PLACES[:1], ())
            for who in (LOW, make.CLEARED)
            for n in (2, 9)
        ],
        "like": [await read.memories_like("m-1"), await read.memories_like("x")],
        "of": [await read.memories_of("ana"), await read.memories_of("ana", 2)],
        "gone": [await read.memories_archived(PLACES[0]), await read.memories_spent(now - 5, 9)],
        "facts": [await read.facts("n"), await read.facts("n", 2), await read.facts("x")],
        "posts": await read.posts(),
        "said": [await read.said(where, 5) for where in (HERE, THERE)],
        "spent": [await read.spent(f"b{n}") for n in range(4)],
        "paused": await read.paused(),
        "unsealed": await read.unsealed(9),
        "chain": await read.chain(),
        "counts": await read.counts(),
    }


async def outcome(store, step):
    match step:
        case u.Unit():
            answer = await store.commit(step)
            return (type(answer), answer.guard) if isinstance(answer, u.Refused) else answer
        case u.ClaimEffects():
            return await store.claim_effects(step)
        case u.ClaimPosts():
            return await store.claim_posts(step)
        case "boot":
            return await store.new_boot()
        case _:
            events, signals, following = await store.due(3)
            return [one.event for one in events], signals, following


@pytest.mark.parametrize("seed", range(12))
async def test_both_stores_agree(seed, tmp_path):
    r, clock = random.Random(seed), make.TurnedClock()
    memory, sqlite = MemoryStore(clock), await SqliteStore.open(tmp_path / "s.db", clock, synchronous="OFF")
    first = u.Unit(changes=tuple(u.PutTask(task=make.task(task, parent=PARENTS.get(task))) for task in TASKS))
    assert await memory.commit(first) == await sqlite.commit(first) == u.Applied()
    for number in range(250):
        clock.at_ms += r.randrange(6)
        unit = u.Unit(
            guards=tuple(guard(r) for _ in range(r.choice((0, 0, 0, 1, 2)))),
            changes=tuple(change(r, clock.at_ms) for _ in range(r.randrange(1, 4))),
        )
        effects = make.claim(n=r.randrange(1, 5), lease_ms=8, dev=r.randrange(3))
        posts = make.claim_posts(n=r.randrange(1, 3), lease_ms=8, platforms=("console", "telegram"))
        step = r.choice((*[unit] * 12, effects, effects, posts, posts, "due", *["boot"][: number % 9 == 0]))
        assert await outcome(memory, step) == await outcome(sqlite, step), (seed, number, step)
        if number % 10 == 9:
            assert await seen(memory, clock.at_ms) == await seen(sqlite, clock.at_ms), (seed, number)
    await sqlite.close()
