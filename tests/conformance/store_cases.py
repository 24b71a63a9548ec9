"""Builders of small rows, for the cases of the store's conformance suite."""

from __future__ import annotations

from core.model import unit as u
from core.model.effects import CallModel
from core.model.events import Conversation, MessageReceived, Sender
from core.model.ids import CallId, EffectId, GrantId, InquiryId, PostId, SignalId, TaskId
from core.model.inquiries import Delivery, Evidence, Grant, Inquiry, InquiryState, Kind, Resolution, Stage, Verb, Vote
from core.model.memory import Layer, Memory, Place, Scope, Secrecy, private
from core.model.signals import Deadline, Signal
from core.model.views import Answer, Line, Post
from core.model.work import Brief, Heard, Phase, Task

HERE = Conversation(platform="console", account="a", channel="c")
THERE = Conversation(platform="telegram", account="b", channel="d")


class TurnedClock:
    """Time passes when the test says so."""

    def __init__(self) -> None:
        self.at_ms = 1_000_000

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic_ms(self) -> int:
        return self.at_ms

    async def sleep(self, seconds: float) -> None:
        self.at_ms += int(seconds * 1000)


def event(key="e1", text="hello", conversation=HERE):
    return MessageReceived(
        key=key, at_ms=1, conversation=conversation, sender=Sender(account="console:me", name="Ada"), text=text
    )


def task(name="t-1", *, parent=None, root=None, role="ceo", version=1, phase=Phase.WORKING, conversation=HERE, **more):
    return Task(
        id=TaskId(name),
        root=TaskId(root or parent or name),
        parent=parent and TaskId(parent),
        role=role,
        title=name,
        brief=Brief(objective="x"),
        conversation=conversation,
        asked_by="p",
        initiators=("p",),
        definition="d",
        version=version,
        phase=phase,
        created_at_ms=1,
        updated_at_ms=1,
        **more,
    )


def entry(text="x"):
    return Heard(at_ms=1, text=text, speaker="Ada")


def effect(name="t-1:0:e0"):
    return CallModel(id=EffectId(name))


def add_effect(name="t-1:0:e0", of="t-1", role="ceo", **more):
    return u.AddEffect(task=TaskId(of), role=role, effect=effect(name), **more)


def inquiry(name="i-1", *, version=1, state=InquiryState.OPEN, revision=1, root="t-1", people=(), ended=None, **more):
    """`people`: who is eligible, a tuple a stage; `ended`: when, by whom, why."""
    at_ms, by, reason = ended or (0, (), "")
    return Inquiry(
        stages=tuple(Stage(eligible=tuple(who), approve_n=1) for who in people),
        resolution=Resolution(by=by, at_ms=at_ms, reason=reason) if ended else None,
        id=InquiryId(name),
        kind=Kind.APPROVAL,
        revision=revision,
        version=version,
        state=state,
        task=TaskId(root),
        root=TaskId(root),
        call=CallId("c"),
        role="ceo",
        conversation=HERE,
        created_at_ms=1,
        updated_at_ms=1,
        **more,
    )


def vote(callback="cb1", *, principal="ada", revision=1, stage=0, verb=Verb.APPROVE, active=True, of="i-1"):
    return Vote(
        inquiry=InquiryId(of),
        revision=revision,
        stage=stage,
        principal=principal,
        account="a",
        evidence=Evidence.VERIFIED,
        verb=verb,
        callback=callback,
        at_ms=1,
        active=active,
    )


def grant(name="g-1", of="i-1", digest="d"):
    return Grant(id=GrantId(name), inquiry=InquiryId(of), task=TaskId("t-1"), digest=digest, execute_by_ms=9)


def delivery(name="d-1", of="i-1", nonce="h1", **more):
    return Delivery(id=name, inquiry=InquiryId(of), revision=1, conversation=HERE, nonce_hash=nonce, **more)


def post(name="p-1", *, slot=None, rank=1, conversation=HERE, text="x", answer=False):
    view = Answer(task="t-1", speaker="CEO", text=text) if answer else Line(text=text)
    slot = name if slot is None else slot
    return Post(id=PostId(name), conversation=conversation, view=view, slot=slot, rank=rank, at_ms=1)


def signal(name="s-1", *, due_at_ms=0, of="t-1"):
    return Signal(id=SignalId(name), task=TaskId(of), due_at_ms=due_at_ms, errand=Deadline())


def audit(name="a-1"):
    return u.Audit(id=name, at_ms=1, what="x", subject="y", detail={"n": 1})


DEV = private("dev")
TEAM = Place(scope=Scope.TEAM, owner="engineering")


def memory(name="m-1", text="Deploys are on Tuesdays", *, place=DEV, layer=Layer.FACT, people=(), at_ms=1, **more):
    return Memory(id=name, place=place, text=text, at_ms=at_ms, by="dev", layer=layer, people=people, **more)


CLEARED = tuple(Secrecy)


def claim(n=10, lease_ms=1000, holder="w", **caps):
    return u.ClaimEffects(n=n, holder=holder, lease_ms=lease_ms, caps=caps)


def claim_posts(n=10, lease_ms=1000, platforms=("console",)):
    return u.ClaimPosts(n=n, holder="o", lease_ms=lease_ms, platforms=platforms)
