"""A small team and the rows around it, for the tests of the rules."""

from __future__ import annotations

import msgspec

from core.model.events import Conversation
from core.model.ids import CallId, TaskId
from core.model.inquiries import DeliveryState, Evidence, Inquiry, Kind, Verb, Vote
from core.model.team import (
    Budget,
    Command,
    EffectClass,
    MatrixRow,
    ModelSpec,
    Person,
    Policy,
    Role,
    StageRule,
    Team,
    Tier,
    TierRule,
    ToolSpec,
)
from core.model.unit import InquiryRow
from core.model.work import Brief, Failure, Task
from core.rules import inquiry as rules
from core.rules.actions import act_of
from core.rules.canonical import action_digest
from core.rules.policy import DEFAULT_TIERS, DEFAULT_WORDS, gates_of, panel_of

NOW = 1_800_000_000_000
PROGRAM = "ab" * 32
CALL = CallId("t-1:2:0")

TOOLS = {
    "read_file": ToolSpec(
        name="read_file",
        about="",
        parameters={"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
        tier=Tier.READ,
        effect=EffectClass.READ,
        resource="file:{path}",
        says="Reads {path}",
    ),
    "write_file": ToolSpec(
        name="write_file",
        about="",
        parameters={
            "type": "object",
            "properties": {"path": {"type": "string"}, "content": {"type": "string", "default": ""}},
            "required": ["path"],
            "additionalProperties": False,
        },
        resource="file:{path}",
        verb="write",
    ),
    "send_mail": ToolSpec(
        name="send_mail",
        about="",
        parameters={"type": "object", "properties": {"to": {"type": "string"}, "n": {"type": "integer", "default": 1}}},
        tier=Tier.EXTERNAL,
        effect=EffectClass.ONCE,
    ),
    "run_command": ToolSpec(
        name="run_command",
        about="",
        parameters={
            "type": "object",
            "properties": {"command": {"enum": ["ship", "status"]}, "args": {"type": "object"}},
            "required": ["command"],
            "additionalProperties": False,
        },
        tier=Tier.INFRASTRUCTURE,
        effect=EffectClass.ONCE,
    ),
}
COMMANDS = {
    "ship": Command(
        name="ship",
        argv=("./ship.sh", "{site}"),
        args={"site": {"enum": ["landing", "docs"]}, "note": {"type": "string", "default": ""}},
        resource="site:{site}",
    ),
    "status": Command(
        name="status", argv=("./status.sh",), tier=Tier.READ, effect=EffectClass.READ, says="Looks at the sites"
    ),
    "other": Command(name="other", argv=()),
}
PRINTS = {"ship": PROGRAM, "status": PROGRAM, "other": PROGRAM}


def person(name, role="approver"):
    return Person(id=name, name=name.title(), role=role)


PEOPLE = (person("you", "owner"), person("bob"), person("carol"))


def team(people=PEOPLE, *, tools=TOOLS, commands=COMMANDS, **tiers):
    names = tuple(tools)
    devops = Role(
        id="devops",
        title="DevOps",
        folder="devops",
        reports_to="cto",
        tools=names,
        commands=("ship", "status"),
        specs=tuple(tools.values()),
    )
    roles = {
        "ceo": Role(id="ceo", title="CEO", folder="ceo", reports_to=None, tools=()),
        "cto": Role(id="cto", title="CTO", folder="cto", reports_to="ceo", tools=()),
        "devops": devops,
        "qa": Role(id="qa", title="QA", folder="qa", reports_to="cto", tools=()),
    }
    return Team(
        version="d1",
        name="acme",
        zone="Europe/Berlin",
        lead="ceo",
        people=tuple(people),
        roles=roles,
        teams={},
        matrix=(
            MatrixRow(source="ceo", target="cto", kinds=("request", "incident")),
            MatrixRow(source="cto", target="devops", kinds=("deployment",)),
            MatrixRow(source="devops", target="qa", kinds=("test",)),
            MatrixRow(source="qa", target="devops", kinds=("test", "bug")),
            MatrixRow(source="cto", target="ceo", kinds=("question",)),
        ),
        tools=tools,
        commands=commands,
        models={"work": ModelSpec(provider="scripted", model="m")},
        policy=Policy(tiers={**DEFAULT_TIERS, **tiers}, words=DEFAULT_WORDS, version="p1"),
    )


def task(role="devops", **changes):
    base = Task(
        id=TaskId("t-1"),
        root=TaskId("t-0"),
        role=role,
        title="ship it",
        brief=Brief(objective="ship it"),
        conversation=Conversation(platform="console", account="a", channel="c"),
        asked_by="you",
        initiators=("you",),
        chain=("ceo", "cto"),
        definition="d1",
        created_at_ms=NOW,
        updated_at_ms=NOW,
    )
    return msgspec.structs.replace(base, **changes)


def ship_act(of, tool="run_command", arguments=None, prints=PRINTS):
    arguments = {"command": "ship", "args": {"site": "landing"}} if arguments is None else arguments
    act = act_of(of, "devops", tool, arguments, prints)
    assert not isinstance(act, Failure), act
    return act


def approval(of, *, tool="run_command", arguments=None, initiators=("you",), **changes) -> Inquiry:
    """An approval for the team, open unless told otherwise."""
    act = ship_act(of, tool, arguments)
    gates = gates_of(of, "devops", act, gated=True, untrusted=False)
    panel = panel_of(of, gates, initiators, ("ceo", "cto"))
    assert not isinstance(panel, Failure), panel
    asked = rules.approval(
        call=CALL,
        generation=1,
        task=task(initiators=initiators),
        act=act,
        gates=gates,
        panel=panel,
        schema=of.spec("devops", tool).parameters,
        why="because",
        digest=action_digest(act.action),
        policy_version=of.policy.version,
        now_ms=NOW,
    )
    changed = {"state": rules.shown(asked, DeliveryState.POSTED, NOW).state, **changes}
    return msgspec.structs.replace(asked, **changed)


def question(of, kind=Kind.QUESTION, options=(), **changes):
    asked = rules.question(
        call=CALL, generation=1, task=task(), kind=kind, text="Which?", options=options, why="", team=of, now_ms=NOW
    )
    assert isinstance(asked, Inquiry), asked
    return msgspec.structs.replace(rules.shown(asked, DeliveryState.POSTED, NOW), **changes)


class Desk:
    """Presses, one after another and on purpose, on the rows as a store would keep them."""

    def __init__(self, of, inquiry, *, grant=None):
        self.team = of
        self.row = InquiryRow(inquiry=inquiry, votes=(), deliveries=(), grant=grant)
        self.presses = 0

    @property
    def inquiry(self):
        return self.row.inquiry

    def press(
        self, who, verb=Verb.APPROVE, *, standing=True, alive=True, fingerprint="as asked", now=NOW, age=0, **given
    ):
        self.presses += 1
        if fingerprint == "as asked":
            fingerprint = self.inquiry.action.fingerprint if self.inquiry.action else None
        given = {
            "principal": who,
            "account": f"console:{who}",
            "evidence": Evidence.VERIFIED,
            "callback": f"cb{self.presses}",
            "revision": self.inquiry.revision,
            "at_ms": now + 1_000 * self.presses,
            **given,
        }
        decision = rules.press(
            self.row,
            rules.Press(verb=verb, **given),
            rules.Standing(principal=who or "", may_approve=standing, checked_at_ms=now - age),
            self.team,
            now,
            task_alive=alive,
            fingerprint_now=fingerprint,
        )
        self.keep(decision)
        return decision

    def keep(self, decision):
        if decision.changed:
            assert (
                decision.transition == 0 or decision.inquiry.state in rules.TRANSITIONS[decision.transition - 1].targets
            )
        else:
            assert decision.inquiry is self.row.inquiry
            assert decision.verdict is None
            assert decision.grant is None
        votes = self.row.votes
        if decision.vote is not None:
            new = decision.vote
            votes = tuple(v for v in votes if (v.stage, v.principal) != (new.stage, new.principal))
            votes += (new,) if new.active else ()
        votes = tuple(v for v in votes if v.revision == decision.inquiry.revision)
        self.row = InquiryRow(
            inquiry=decision.inquiry, votes=votes, deliveries=(), grant=decision.grant or self.row.grant
        )


def vote(who, verb=Verb.APPROVE, *, stage=0, inquiry, revision=1, active=True):
    return Vote(
        inquiry=inquiry.id,
        revision=revision,
        stage=stage,
        principal=who,
        account="a",
        evidence=Evidence.VERIFIED,
        verb=verb,
        callback=f"v-{who}-{stage}",
        at_ms=NOW,
        active=active,
    )


__all__ = ["Budget", "StageRule", "TierRule"]
