"""The team as the engine sees it: loaded, validated, frozen, and named by the hash of its content.

Money is in millionths of a dollar (`_microusd`), tokens and bytes are counts, times are milliseconds unless named.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from core.model.events import Conversation
from core.model.memory import MemoryRule

Json = Any
"""A JSON value: what `msgspec.json.decode` returns without a type."""


class Tier(StrEnum):
    """How bad an action can be, mildest first (INQUIRIES.md)."""

    READ = "read"
    INTERNAL = "internal"
    EXTERNAL = "external"
    FINANCIAL = "financial"
    INFRASTRUCTURE = "infrastructure"


class EffectClass(StrEnum):
    """What may be done when an action's outcome is not known (ENGINE.md, pitfall 2)."""

    READ = "read"  # run it again
    IDEMPOTENT = "idempotent"  # run it again with the same key
    QUERYABLE = "queryable"  # look it up
    ONCE = "once"  # ask a person


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A principal: one human, whatever accounts they have. `role`: owner, approver, member or viewer."""

    id: str
    name: str
    role: str
    zone: str = "UTC"
    accounts: tuple[str, ...] = ()
    quiet: str = ""  # "18:00-09:00" in their zone: no reminders then
    quiet_days: tuple[str, ...] = ()  # mon ... sun, whole days of their zone

    @property
    def may_approve(self) -> bool:
        """Owners and approvers may; members ask, viewers read."""
        return self.role in {"owner", "approver"}

    @property
    def may_ask(self) -> bool:
        """Everybody but a viewer may give the team work."""
        return self.role != "viewer"


class AccountLink(msgspec.Struct, frozen=True, kw_only=True, tag="AccountLink/1"):
    """Whose a platform account is, as that person showed with a one-time code. `by`: who made the code."""

    account: str
    person: str
    by: str
    at_ms: int


class Absence(msgspec.Struct, frozen=True, kw_only=True, tag="Absence/1"):
    """Somebody is away. `delegate` stands in for them where the same selector names both; "" is nobody."""

    person: str
    until_ms: int
    delegate: str = ""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """TEAM.md, Budgets. The day is the team's zone's."""

    call_input_tokens_max: int = 32_000
    call_output_tokens_max: int = 4_000
    task_tokens_max: int = 50_000
    task_calls_max: int = 10
    day_tokens_max: int = 500_000
    day_microusd_max: int = 5_000_000
    hard_stop: bool = True


class Permissions(msgspec.Struct, frozen=True, kw_only=True):
    """What a role may do at all, and whether a person looks at its handoff first."""

    can_deploy: bool = False
    can_merge: bool = False
    requires_review: bool = False


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One model of a preset and its prices in millionths of a dollar per million tokens."""

    provider: str  # anthropic, openai, offline, scripted
    model: str
    input_microusd_per_mtok: int = 0
    output_microusd_per_mtok: int = 0
    cache_read_microusd_per_mtok: int = 0
    cache_write_microusd_per_mtok: int = 0
    window_tokens: int = 200_000
    output_tokens_max: int = 8_192
    thinking_tokens: int = 0  # how much it may think before it answers, where the vendor lets one say; 0: not at all
    base_url: str = ""  # a server of one's own, spoken to without a key; "" is the provider's


class ToolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine and the model know of a tool. `says` and `resource` are templates over the arguments."""

    name: str
    about: str
    parameters: dict[str, Json]  # a JSON Schema of type object, additionalProperties false
    tier: Tier = Tier.INTERNAL
    effect: EffectClass = EffectClass.IDEMPOTENT
    verb: str = ""  # effect verb of the action, "" means the tool's own name
    resource: str = ""
    says: str = ""
    seconds_max: int = 30
    output_bytes_max: int = 16_384
    untrusted: bool = False  # whatever it returns, failures too, was written outside
    on_demand: bool = False  # shown to the model once find_tools has named it
    per_minute_max: int = 0  # runs that may start in a minute, of all tasks together; 0: as many as are wanted
    concurrency_max: int = 0  # runs at a time, of all tasks together; 0: as many as are wanted
    program: str = ""  # of a tool people wrote: its file and digest ("tools/words.py@sha256:..."), its fingerprint


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One command `run_command` may run; `args` are JSON Schema properties, all required unless they have a default."""

    name: str
    argv: tuple[str, ...]
    about: str = ""
    args: dict[str, Json] = {}
    tier: Tier = Tier.INFRASTRUCTURE
    effect: EffectClass = EffectClass.ONCE
    resource: str = ""
    says: str = ""
    seconds_max: int = 120
    untrusted: bool = False  # what it says, and what it writes, was written outside


class Triggers(msgspec.Struct, frozen=True, kw_only=True):
    """What hands a conversation to a person, in code (CONSTITUTION.md). `repeats`: the how-manyth time the same
    question is one, 0 for never.
    """

    words: tuple[str, ...] = ()
    repeats: int = 0
    deletion: bool = False


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What a role's tools may reach and use. `egress`: hosts ("docs.python.org", "*.python.org", "*" for every public
    one). `credentials`: names of settings that what it runs is given. Limits are of each program it runs.
    """

    egress: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    memory_mb_max: int = 512
    cpu_seconds_max: int = 120


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """What a role does unasked (HEARTBEAT.md). `cron` is of the team's zone; without one, every so many minutes."""

    say: str
    cron: str = ""
    every_minutes: int = 0


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """One agent's definition. `version` is the content hash of all that can change what it does."""

    id: str
    title: str
    folder: str
    reports_to: str | None
    tools: tuple[str, ...]
    commands: tuple[str, ...] = ()
    complexity: str = "work"
    concurrency_max: int = 2
    batch_max: int = 4
    task_seconds_max: int = 900
    budget: Budget = Budget()
    permissions: Permissions = Permissions()
    escalates_to: tuple[str, ...] = ()
    triggers: Triggers = Triggers()
    reach: Reach = Reach()
    skills: tuple[str, ...] = ()
    skill_texts: dict[str, str] = {}  # by skill, the digest of its SKILL.md
    judged_by: str = ""  # the role that checks its handoffs against their briefs' success criteria
    leads: bool = False  # plans and delegates; owns no work tools
    specs: tuple[ToolSpec, ...] = ()  # `tools`, with the schema as this role sees it: its targets, its commands
    prompt: str = ""  # the stable part of its system prompt, composed
    beats: tuple[Beat, ...] = ()
    version: str = ""


class MatrixRow(msgspec.Struct, frozen=True, kw_only=True):
    """Who may hand what kinds of work to whom; nothing else can happen."""

    source: str
    target: str
    kinds: tuple[str, ...]
    when: str = ""


class SetRule(msgspec.Struct, frozen=True, kw_only=True):
    """How many of whom: `people` by id, and everybody of our `roles`. Neither means every owner and approver."""

    approve_n: int = 1
    people: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


class StageRule(msgspec.Struct, frozen=True, kw_only=True):
    """How many of whom one stage needs: one set, or each of `sets`, filled by different people. `deny_n` of any."""

    approve_n: int = 1
    deny_n: int = 1
    people: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    sets: tuple[SetRule, ...] = ()  # instead of the three above


class EscalationStep(msgspec.Struct, frozen=True, kw_only=True):
    """Whom else to ask, and where, so long after the start. `replace`: instead of those asked before."""

    after_ms: int
    to: tuple[str, ...] = ()  # people's ids, or our roles owner and approver
    deliver: tuple[Conversation, ...] = ()
    replace: bool = False
    direct: bool = False  # in private to everybody who may then decide it, too


class Escalation(msgspec.Struct, frozen=True, kw_only=True):
    """Steps in order, and how often all of them come again; a round takes as long as its last step is late."""

    steps: tuple[EscalationStep, ...]
    repeat_n: int = 0


class BoundRule(msgspec.Struct, frozen=True, kw_only=True):
    """How wide an approver may make one approval at most."""

    count_max: int
    hours_max: float


class AllowRule(msgspec.Struct, frozen=True, kw_only=True):
    """What an owner has allowed for good, until `until_ms`. `role` "" is every role, `resource` "" any resource; of the
    arguments those named must be equal.
    """

    tool: str
    verb: str
    until_ms: int
    role: str = ""
    resource: str = ""
    arguments: dict[str, Json] = {}


class Amendment(msgspec.Struct, frozen=True, kw_only=True):
    """A change of what governs agents: digests of the file before and after, and the unified diff that people see."""

    before: str
    after: str
    diff: str


class TierRule(msgspec.Struct, frozen=True, kw_only=True):
    """What an action of a tier needs. No stages: it runs at once."""

    stages: tuple[StageRule, ...] = ()
    decide_ms: int = 86_400_000
    execute_ms: int = 86_400_000  # how long a grant lives
    at_deadline: str = "queue"  # queue, deny or escalate; never approve
    verified: bool = False  # only votes a platform vouches for
    allow_self: bool = False
    reason_required: bool = False  # of a denial
    deliver: tuple[Conversation, ...] = ()  # where it is shown besides the conversation it is asked in
    approve_reason: bool = False  # an approval needs a reason, too
    escalation: str = ""  # one of the policy's; its clock starts when it is asked, or at the deadline (`escalate`)
    remind_ms: tuple[int, ...] = ()  # after it was asked, ascending
    override: bool = False  # an owner who did not ask for it may decide alone, and it is labelled
    bounded: BoundRule | None = None  # an approval may be for several times
    may_allow: bool = False  # `Policy.allow` holds for infrastructure only where this is said
    direct: bool = False  # it is shown in private to everybody who may decide it, too


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Tiers and words. `words` are a floor: configuration only adds to them (INQUIRIES.md)."""

    tiers: dict[str, TierRule]
    words: tuple[str, ...]
    version: str = ""
    inbox: Conversation | None = None  # where overdue inquiries are shown too, and those that could be shown nowhere
    escalations: dict[str, Escalation] = {}
    allow: tuple[AllowRule, ...] = ()
    review: TierRule | None = None  # of handoffs that need a person; None in definitions older than the rule
    brief_triggers: bool = False  # a role's triggers read briefs, too; not in definitions older than the rule
    yes_counts: bool = False  # "yes" in reply to the inquiry's own message is an approval
    changes: TierRule | None = None  # of the definition itself: not in force until approved; None: at once


class DigestRule(msgspec.Struct, frozen=True, kw_only=True):
    """Once a day, at this time of the team's zone ("09:00"), the day is told there."""

    at: str
    to: Conversation


class Team(msgspec.Struct, frozen=True, kw_only=True):
    """One definition of everything that governs agents; stored whole under its hash, pinned by every task."""

    version: str  # content hash of all below
    name: str
    zone: str
    lead: str
    people: tuple[Person, ...]
    roles: dict[str, Role]
    teams: dict[str, tuple[str, ...]]
    matrix: tuple[MatrixRow, ...]
    tools: dict[str, ToolSpec]
    commands: dict[str, Command]
    models: dict[str, ModelSpec]  # by complexity: triage, work, deep
    policy: Policy
    channels: dict[str, str] = {}  # "slack:C42" -> the role that answers there
    platform_roles: dict[str, dict[str, tuple[str, ...]]] = {}  # platform, our role, the platform's roles that give it
    kinds: dict[str, tuple[str, ...]] = {}  # fields of their own that kinds of work ask for, all required
    repos: dict[str, str] = {}  # repositories that roles work in: name, path (the workspace's, or absolute)
    hops_max: int = 4
    rounds_max: int = 3
    digest: DigestRule | None = None
    memory: MemoryRule = MemoryRule()

    def person(self, person_id: str) -> Person | None:
        """The person with this id."""
        return next((p for p in self.people if p.id == person_id), None)

    def person_of_account(self, account: str) -> Person | None:
        """The person who has this platform account."""
        return next((p for p in self.people if account in p.accounts), None)

    def targets(self, role: str) -> tuple[MatrixRow, ...]:
        """The matrix rows that let `role` hand work on."""
        return tuple(row for row in self.matrix if row.source == role)

    def window_of(self, role: str) -> int:
        """Tokens a call of this role may read: the model's window, or its budget if that is less."""
        return min(self.model_of(role).window_tokens, self.roles[role].budget.call_input_tokens_max)

    def spec(self, role: str, tool: str) -> ToolSpec | None:
        """A tool as this role sees it; None if it may not call it."""
        return next((spec for spec in self.roles[role].specs if spec.name == tool), None)

    def model_of(self, role: str) -> ModelSpec:
        """The model a role thinks with."""
        return self.models[self.roles[role].complexity]
