"""A small team and its parts, for tests of rules: real structs, no files."""

from __future__ import annotations

import msgspec

from core.model.events import Conversation, Sender
from core.model.ids import TaskId
from core.model.team import (
    Budget,
    Command,
    EffectClass,
    MatrixRow,
    ModelSpec,
    Permissions,
    Person,
    Policy,
    Role,
    Team,
    Tier,
    ToolSpec,
)
from core.model.work import Brief, Task
from core.rules.policy import DEFAULT_TIERS, DEFAULT_WORDS

PLACE = Conversation(platform="console", account="acme", channel="main")
SENDER = Sender(account="console:me", asserted="you")
NOW_MS = 1_800_000_000_000

_TEXT = {"type": "string"}
_LIST = {"type": "array", "items": _TEXT}


def tool(name: str, properties: dict[str, object], required: tuple[str, ...] = (), **more: object) -> ToolSpec:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
    return ToolSpec(name=name, about=name, parameters=parameters, **more)


DELEGATE = tool(
    "delegate",
    {
        "to": _TEXT,
        "kind": _TEXT,
        "objective": _TEXT,
        "success_criteria": _LIST,
        "context": _TEXT,
        "limits": _TEXT,
        "deadline_minutes": {"type": "integer"},
        "requires_approval": {"type": "boolean"},
        "task": _TEXT,
        "answer": _TEXT,
    },
)
ASK_HUMAN = tool("ask_human", {"question": _TEXT, "options": _LIST, "why": _TEXT, "kind": _TEXT}, ("question",))
HAND_OFF = tool(
    "hand_off",
    {
        "summary": _TEXT,
        "changed": _LIST,
        "next_needs": _LIST,
        "risks": _LIST,
        "artifacts": _LIST,
        "needs": _TEXT,
    },
)
NOTE = tool("note", {"text": _TEXT}, ("text",), tier=Tier.INTERNAL, effect=EffectClass.IDEMPOTENT)
LOOK = tool("look", {"at": _TEXT}, ("at",), tier=Tier.READ, effect=EffectClass.READ)
MAIL = tool("mail", {"to": _TEXT}, ("to",), tier=Tier.EXTERNAL, effect=EffectClass.ONCE, resource="mail:{to}")
RUN = tool(
    "run_command",
    {"command": {"enum": ["ship"]}, "args": {"type": "object"}},
    ("command", "args"),
    tier=Tier.INFRASTRUCTURE,
    effect=EffectClass.ONCE,
)
SHIP = Command(
    name="ship",
    argv=("./ship.sh", "{site}"),
    args={"site": {"enum": ["landing", "docs"]}},
    resource="site:{site}",
    says="Runs ./ship.sh {site} on this machine",
)
FINGERPRINTS = {"ship": "sha256:" + "0" * 64}


def role(role_id: str, reports_to: str | None, *specs: ToolSpec, **more: object) -> Role:
    return Role(
        id=role_id,
        title=role_id.upper(),
        folder=role_id,
        reports_to=reports_to,
        tools=tuple(spec.name for spec in specs),
        specs=specs,
        version=f"v-{role_id}",
        prompt=f"You are {role_id}.",
        **more,
    )


YOU = Person(id="you", name="You", role="owner", accounts=("telegram:1",))


def team(*people: Person, **changes: object) -> Team:
    lead = (DELEGATE, ASK_HUMAN, HAND_OFF)
    made = Team(
        version="team-1",
        name="acme",
        zone="UTC",
        lead="ceo",
        people=people or (YOU,),
        roles={
            "ceo": role("ceo", None, *lead, leads=True),
            "cto": role("cto", "ceo", *lead, leads=True),
            "ops": role(
                "ops",
                "cto",
                NOTE,
                LOOK,
                MAIL,
                RUN,
                ASK_HUMAN,
                HAND_OFF,
                commands=("ship",),
                permissions=Permissions(can_deploy=True),
                task_seconds_max=900,
                budget=Budget(task_calls_max=10),
            ),
            "dev": role("dev", "cto", NOTE, LOOK, RUN, DELEGATE, HAND_OFF, commands=("ship",)),
        },
        teams={},
        matrix=(
            MatrixRow(source="ceo", target="cto", kinds=("deployment", "build")),
            MatrixRow(source="cto", target="ops", kinds=("deployment",)),
            MatrixRow(source="cto", target="dev", kinds=("build",)),
            MatrixRow(source="dev", target="ops", kinds=("deployment",)),
        ),
        tools={},
        commands={"ship": SHIP},
        models={name: ModelSpec(provider="scripted", model="scripted") for name in ("triage", "work", "deep")},
        policy=Policy(tiers=dict(DEFAULT_TIERS), words=DEFAULT_WORDS, version="p1"),
    )
    return msgspec.structs.replace(made, **changes)


def task(role_id: str = "ops", **changes: object) -> Task:
    made = Task(
        id=TaskId("t-000000000001"),
        root=TaskId("t-000000000001"),
        role=role_id,
        title="a task",
        brief=Brief(objective="publish the page"),
        conversation=PLACE,
        asked_by="you",
        initiators=("you",),
        definition="team-1",
        version=1,
        created_at_ms=NOW_MS,
        updated_at_ms=NOW_MS,
    )
    return msgspec.structs.replace(made, **changes)
