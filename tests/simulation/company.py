"""The company every simulated run is about: built as structs, so that no file and no parser stands between."""

from __future__ import annotations

import msgspec

from agents.tools import control
from core.model.ids import digest_of
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
from core.rules.policy import DEFAULT_TIERS, DEFAULT_WORDS

KINDS = ("build", "review", "operate")
BUDGET = Budget(
    call_input_tokens_max=8_000, call_output_tokens_max=1_000, task_tokens_max=50_000, day_tokens_max=10_000_000
)

NOTE = ToolSpec(
    name="note",
    about="Keep a line.",
    parameters=control.shape({"text": {"type": "string"}}, ("text",)),
    effect=EffectClass.IDEMPOTENT,
    resource="notes",
)
LOOK = ToolSpec(
    name="look",
    about="Read a page.",
    parameters=control.shape({"page": {"type": "string"}}, ("page",)),
    tier=Tier.READ,
    effect=EffectClass.READ,
    resource="{page}",
)
RING = ToolSpec(
    name="ring",
    about="Ring the bell: nobody is asked, and it cannot be taken back.",
    parameters=control.shape({"times": {"type": "integer"}}, ("times",)),
    effect=EffectClass.ONCE,
    resource="bell",
)
RUN_COMMAND = ToolSpec(
    name="run_command",
    about="Run a command.",
    parameters=control.shape({"command": {"enum": ["deploy"]}, "args": {"type": "object"}}, ("command",)),
    tier=Tier.INFRASTRUCTURE,
    effect=EffectClass.ONCE,
)
WORK_TOOLS = (NOTE, LOOK, RING, RUN_COMMAND)

DEPLOY = Command(
    name="deploy",
    argv=("./deploy.sh", "{site}"),
    args={"site": {"type": "string"}},
    resource="site:{site}",
)

MATRIX = tuple(
    MatrixRow(source=source, target=target, kinds=KINDS)
    for source, target in (
        ("ceo", "cto"),
        ("cto", "devops"),
        ("cto", "developer"),
        ("cto", "qa"),
        ("developer", "qa"),
        ("qa", "developer"),
    )
)

ANA = Person(id="ana", name="Ana", role="owner", accounts=("sim:ana",))
BEN = Person(id="ben", name="Ben", role="approver", accounts=("sim:ben",))
CAL = Person(id="cal", name="Cal", role="approver", accounts=("sim:cal",))
EVE = Person(id="eve", name="Eve", role="approver", accounts=("sim:eve",))


def company(
    *people: Person,
    budgets: dict[str, Budget] | None = None,
    hops_max: int = 4,
    judged_by: dict[str, str] | None = None,
) -> Team:
    """CEO > CTO > DevOps, Developer, QA; `people` default to Ana alone, the single operator."""
    budgets = budgets or {}
    tools_of = {"ceo": (), "cto": (NOTE,), "devops": WORK_TOOLS, "developer": (NOTE, LOOK), "qa": (NOTE, LOOK)}
    above = {"ceo": None, "cto": "ceo", "devops": "cto", "developer": "cto", "qa": "cto"}
    roles = {}
    for name, tools in tools_of.items():
        targets = tuple(row.target for row in MATRIX if row.source == name)
        own = (control.delegate(targets, KINDS, ()),) if targets else ()
        specs = (*own, control.ASK, control.FINISH, *tools)
        roles[name] = Role(
            id=name,
            title=name.upper(),
            folder=name,
            reports_to=above[name],
            tools=tuple(spec.name for spec in specs),
            commands=("deploy",) if name == "devops" else (),
            permissions=Permissions(can_deploy=name == "devops"),
            budget=budgets.get(name, BUDGET),
            judged_by=(judged_by or {}).get(name, ""),
            specs=specs,
            prompt=f"You are {name}.",
            version=f"v-{name}",
        )
    team = Team(
        version="",
        name="Company",
        zone="Europe/Zurich",
        lead="ceo",
        people=people or (ANA,),
        roles=roles,
        teams={},
        matrix=MATRIX,
        tools={spec.name: spec for spec in WORK_TOOLS},
        commands={"deploy": DEPLOY},
        models={
            "work": ModelSpec(
                provider="scripted",
                model="scripted",
                input_microusd_per_mtok=3_000_000,
                output_microusd_per_mtok=15_000_000,
            )
        },
        policy=Policy(tiers=dict(DEFAULT_TIERS), words=DEFAULT_WORDS, version="policy-1"),
        hops_max=hops_max,
    )
    return msgspec.structs.replace(team, version=digest_of(msgspec.json.encode(team)))
