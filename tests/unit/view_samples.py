"""A small team, and inquiries and tasks of it, for the tests of what people are shown."""

import msgspec

from core.model.events import Conversation
from core.model.ids import CallId, InquiryId, TaskId
from core.model.inquiries import Action, Inquiry, InquiryState, Kind, Stage, Verb
from core.model.team import EffectClass, Person, Policy, Role, Team, Tier
from core.model.work import Brief, Call, CallState, Task, Usage

MONDAY_MS = 1_795_456_800_000  # Mon 23 Nov 2026 18:00 UTC
HOUR_MS = 3_600_000
NONCE = "0123456789abcdef"
HERE = Conversation(platform="console", account="Acme", channel="main")

TEAM = Team(
    version="1",
    name="Acme",
    zone="UTC",
    lead="ceo",
    people=(Person(id="ana", name="Ana", role="owner"), Person(id="bo", name="Bo", role="approver")),
    roles={
        role: Role(id=role, title=title, folder=role, reports_to=None, tools=())
        for role, title in (("ceo", "CEO"), ("cto", "CTO"), ("devops", "DevOps"), ("marketer", "Marketer"))
    },
    teams={},
    matrix=(),
    tools={},
    commands={},
    models={},
    policy=Policy(tiers={}, words=()),
)

DEPLOY = Action(
    tool="run_command",
    arguments={"command": "deploy", "site": "landing", "dry_run": False},
    resource="site:landing",
    verb="run_command",
    effect=EffectClass.ONCE,
    fingerprint="ab" * 32,
    says="Runs ./deploy.sh landing on this machine",
)


def inquiry(**changes) -> Inquiry:
    plain = Inquiry(
        id=InquiryId("i-7f3a00112233"),
        kind=Kind.APPROVAL,
        state=InquiryState.OPEN,
        task=TaskId("t-81c200112233"),
        root=TaskId("t-81c200112233"),
        call=CallId("t-81c200112233:3:0"),
        role="devops",
        conversation=HERE,
        why="Marketing needs it live before Monday's post.",
        action=DEPLOY,
        tier=Tier.INFRASTRUCTURE,
        stages=(Stage(eligible=("bo",), approve_n=1),),
        decide_by_ms=MONDAY_MS,
        created_at_ms=MONDAY_MS - 5 * HOUR_MS,
        updated_at_ms=MONDAY_MS - 5 * HOUR_MS,
    )
    return msgspec.structs.replace(plain, **changes)


def question(**changes) -> Inquiry:
    plain = {
        "kind": Kind.QUESTION,
        "role": "ceo",
        "action": None,
        "tier": Tier.INTERNAL,
        "decide_by_ms": None,
        "why": "",
    }
    return inquiry(**{**plain, "question": "Which market first?", "verbs": (Verb.ANSWER,), **changes})


def task(**changes) -> Task:
    plain = Task(
        id=TaskId("t-81c200112233"),
        root=TaskId("t-81c200112233"),
        role="ceo",
        title="ship",
        brief=Brief(objective="ship"),
        conversation=HERE,
        asked_by="ana",
        initiators=("ana",),
        definition="1",
        turns=2,
        usage=Usage(input_tokens=6_000, output_tokens=17, cost_microusd=30_000),
        created_at_ms=MONDAY_MS,
        updated_at_ms=MONDAY_MS + 130_000,
    )
    return msgspec.structs.replace(plain, **changes)


def child(n: int, above: Task, **changes) -> Task:
    changes = {"id": TaskId(f"t-{n:012x}"), "root": above.root, "parent": above.id, "role": "cto", **changes}
    return task(**changes)


def call(state: CallState, **changes) -> Call:
    plain = Call(id=CallId("t-1:1:0"), use="u", name="read_file", arguments={}, state=state)
    return msgspec.structs.replace(plain, **changes)
