"""What the engine needs from outside, each as narrow as its caller uses it. Adapters implement these."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Any, Literal, Protocol

import msgspec

from core.model import unit as u
from core.model.editions import Edition
from core.model.errors import RetryableError, TerminalError
from core.model.events import Attachment, Conversation, Event, MessageReceived
from core.model.ids import InquiryId, TaskId
from core.model.inquiries import Attempt, Delivery, Grant, Inquiry, Vote
from core.model.memory import Memory, Place, Secrecy
from core.model.signals import Signal
from core.model.team import AccountLink, AllowRule, Amendment, Json, ModelSpec, Reach, Team, ToolSpec
from core.model.unit import Answer, ClaimEffects, ClaimPosts, LeasedEffect, LeasedPost, StoredEvent, Unit
from core.model.views import InquiryCard, Post
from core.model.work import Entry, Picture, Reply, Said, Task, ToolResult, VendorTurn
from core.rules.reminders import Reminder


class Clock(Protocol):
    """Time. Wall clock for due times, monotonic for timeouts."""

    def now_ms(self) -> int:
        """UTC, milliseconds since 1970."""

    def monotonic_ms(self) -> int:
        """Never goes back; only differences mean anything."""

    async def sleep(self, seconds: float) -> None:
        """Let this much time pass."""


class Ids(Protocol):
    """Randomness."""

    def token(self) -> str:
        """Sixteen hex digits nobody can guess."""

    def jitter(self) -> float:
        """Between 0 and 1."""


class Store(Protocol):
    """Where the truth is. `commit`, `claim_*` and `due` see every commit before them."""

    async def commit(self, unit: Unit) -> Answer:
        """All of it, durably, or nothing. Raises StoreFullError."""

    async def claim_effects(self, claim: ClaimEffects) -> tuple[LeasedEffect, ...]:
        """Lease effects to perform."""

    async def claim_posts(self, claim: ClaimPosts) -> tuple[LeasedPost, ...]:
        """Lease posts to send."""

    async def due(self, n: int) -> tuple[tuple[StoredEvent, ...], tuple[Signal, ...], int | None]:
        """New events in order, signals due now (by due time), and when the next signal falls due. No lease: units that
        deal with one carry State(EVENT or SIGNAL, new) and close it.
        """

    @property
    def read(self) -> Reads:
        """The reading side."""


class Reads(Protocol):
    """What people and the engine look up. Every method is one named SELECT."""

    async def task(self, task: TaskId) -> Task | None:
        """One task."""

    async def journal(self, task: TaskId, after: int = -1) -> tuple[tuple[int, Entry], ...]:
        """Entries with a number above `after`, in order."""

    async def tasks(
        self, *, open_only: bool = False, root: TaskId | None = None, limit: int = 1000
    ) -> tuple[u.TaskRow, ...]:
        """Newest first; with `root`, that whole tree, oldest first."""

    async def open_root(self, conversation: Conversation) -> Task | None:
        """The newest root task of the conversation that has not ended."""

    async def task_ids(self, prefix: str) -> tuple[TaskId, ...]:
        """At most 10 ids that start so."""

    async def inquiry(self, inquiry: InquiryId) -> u.InquiryRow | None:
        """One inquiry with votes, deliveries, grant."""

    async def inquiry_ids(self, prefix: str) -> tuple[InquiryId, ...]:
        """At most 10 ids that start so."""

    async def inquiries(
        self, *, active_only: bool = True, root: TaskId | None = None, limit: int = 1000
    ) -> tuple[Inquiry, ...]:
        """Oldest first. Active: created, undeliverable, open, collecting, in_review."""

    async def waiting(
        self, *, person: str = "", overdue: bool = False, tier: str = "", limit: int = 50
    ) -> tuple[tuple[Inquiry, ...], int]:
        """The oldest active inquiries, and how many there are in all. `person`: only what they are eligible for at its
        present stage and have not voted on (a single operator's first press is no vote).
        """

    async def votes(self, inquiries: tuple[InquiryId, ...]) -> tuple[Vote, ...]:
        """The active votes of these inquiries' present revisions, in the order they were cast."""

    async def decisions(
        self, *, who: str = "", what: tuple[str, ...] = (), since_ms: int = 0, state: str = "", limit: int = 50
    ) -> tuple[Inquiry, ...]:
        """Inquiries that have ended, the latest first. `who` decided or voted; every word of `what` occurs in what was
        asked, done or said about it, whatever its case.
        """

    async def delivery(self, nonce_hash: str) -> Delivery | None:
        """The showing a control belongs to."""

    async def grant(self, grant: str) -> Grant | None:
        """One grant."""

    async def attempt(self, attempt: str) -> Attempt | None:
        """One attempt."""

    async def effects(self, task: TaskId) -> tuple[u.EffectRow, ...]:
        """Open effects of one task."""

    async def talked(self, conversation: Conversation) -> bool:
        """Whether the team was ever given work there."""

    async def places(self, platform: str, account: str, limit: int) -> tuple[Conversation, ...]:
        """Where the team was given work, the latest first."""

    async def said(self, conversation: Conversation, limit: int, since_ms: int = 0) -> tuple[Said, ...]:
        """The last lines of a conversation: people's messages and the answers given, oldest first."""

    async def posts(
        self, *, conversation: Conversation | None = None, slot: str | None = None, limit: int = 200
    ) -> tuple[u.PostRow, ...]:
        """Newest first."""

    async def event_task(self, key: str) -> TaskId | None:
        """The task an event started or spoke to; None while it is new, or if it did neither."""

    async def spent(self, scope: str) -> u.Spent:
        """A budget scope."""

    async def paused(self) -> tuple[str, ...]:
        """Scopes that are stopped."""

    async def blob(self, blob_hash: str) -> bytes | None:
        """Kept bytes."""

    async def account(self, account: str) -> AccountLink | None:
        """Whose a platform account is, by its own link; team.yaml's accounts are not among these."""

    async def accounts(self) -> tuple[AccountLink, ...]:
        """Every link, by account."""

    async def meta(self, name: str) -> str | None:
        """A fact about the workspace."""

    async def facts(self, prefix: str, limit: int = 1000) -> tuple[tuple[str, str], ...]:
        """Facts whose names begin so and that are not empty, by name."""

    async def memories(self, places: tuple[Place, ...], limit: int = 1000) -> tuple[Memory, ...]:
        """What is remembered there and in use, the latest first."""

    async def memory_view(
        self, places: tuple[Place, ...], classes: tuple[Secrecy, ...], facts_max: int, since_ms: int, limit: int = 200
    ) -> tuple[Memory, ...]:
        """What a task may be shown of it when it begins: the newest facts, of the board those since then, and what is
        more than facts. Nothing an untrusted task wrote.
        """

    async def memories_found(
        self, words: tuple[str, ...], places: tuple[Place, ...], classes: tuple[Secrecy, ...], limit: int
    ) -> tuple[Memory, ...]:
        """What is in use there and holds all these words (as `words_of` spells them), the last written first; of many
        words, or where nothing has all: what holds the most of them, among the last written that hold any.
        """

    async def memories_like(self, prefix: str) -> tuple[Memory, ...]:
        """At most 10 whose ids start so, in use or not."""

    async def memories_of(self, person: str, limit: int = 1000) -> tuple[Memory, ...]:
        """What comes from a person or is about them, in use or not, the latest first."""

    async def memories_archived(self, place: Place, limit: int = 1000) -> tuple[Memory, ...]:
        """What is out of use there, the latest first."""

    async def memories_spent(self, before_ms: int, limit: int) -> tuple[str, ...]:
        """Ids of what has run out, and of what is out of use and was written before then."""

    async def unsealed(self, limit: int) -> tuple[u.Audit, ...]:
        """Audit rows not yet linked, in the order they were committed."""

    async def chain(self, after: int = 0, limit: int = 1000) -> tuple[u.Sealed, ...]:
        """Linked audit rows with a seq above `after`."""

    async def chain_head(self) -> tuple[int, str]:
        """The last seq and hash; (0, "") for an empty chain."""

    async def counts(self, platforms: tuple[str, ...] | None = None) -> u.Counts:
        """What is left to do. With `platforms`, posts of others are left out: nobody here sends them."""


class Bus(Protocol):
    """Notices that something may be there to do. They may be lost; a sweep finds what they missed."""

    def notify(self, topic: str) -> None:
        """Wake whoever waits for the topic: events, effects, posts, audit."""

    async def wait(self, topic: str, seconds: float) -> None:
        """Until the next notice, or this long."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of the system prompt; `stable` parts come first and are cached by the vendor."""

    text: str
    stable: bool = True


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of the transcript. `uses` only on assistant turns, `results` (use id, text, is_error) only on user's."""

    role: Literal["user", "assistant"]
    text: str = ""
    uses: tuple[tuple[str, str, dict[str, Json]], ...] = ()  # id, name, arguments
    results: tuple[tuple[str, str, bool], ...] = ()
    pictures: tuple[tuple[str, Picture], ...] = ()  # what results show, by use id
    verbatim: VendorTurn | None = None  # an assistant turn as its vendor wrote it

    def blind(self, uses: Collection[str], line: str) -> Message:
        """Without these uses' pictures: their results end with this line instead."""
        told = tuple((use, f"{text}\n{line}" if use in uses else text, failed) for use, text, failed in self.results)
        left = tuple((use, picture) for use, picture in self.pictures if use not in uses)
        return msgspec.structs.replace(self, results=told, pictures=left)


class ModelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent to a model, whichever vendor serves it."""

    model: ModelSpec
    system: tuple[Part, ...]
    tools: tuple[ToolSpec, ...]
    messages: tuple[Message, ...]
    output_tokens_max: int
    role: str = ""  # whose turn it is, for logs and the scripted model; never sent
    task: str = ""


class ModelProvider(Protocol):
    """A vendor. Raises OverloadedError, ContextOverflowError, AuthenticationError, TerminalError; none of its own."""

    async def reply(self, request: ModelRequest) -> Reply:
        """One turn. `Reply.usage.cost_microusd` is left 0: the engine prices it."""

    async def close(self) -> None:
        """Let go of its connections; nothing is asked of it afterwards."""


class Workplace(msgspec.Struct, frozen=True, kw_only=True):
    """What a running tool may know: whose call it is. `attempt` is the idempotency key."""

    role: str
    task: str
    attempt: str
    seconds_max: int
    root: str = ""
    conversation: Conversation | None = None  # where the work was asked for
    asked_by: tuple[str, ...] = ()  # the people who led here, by id
    untrusted: bool = False  # its task has read what came from outside
    reach: Reach = Reach()
    again: bool = False  # an earlier try was started and its outcome is unknown: look it up, or run it again


class UnknownOutcomeError(Exception):
    """Raised by a tool: it was started and nobody can know what became of it. The engine asks a person."""


class Tool(Protocol):
    """Something agents may call, and the code that runs it."""

    @property
    def spec(self) -> ToolSpec:
        """Schema, tier, effect class."""

    @property
    def remembers(self) -> bool:
        """It can say what became of an earlier try with the same attempt id, so `once` may be asked `again`."""

    async def run(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        """Do it. Trouble the agent can mend is a Failure in the result. Raises UnknownOutcomeError."""

    async def cancel(self, attempt: str) -> None:
        """Stop a run that is under way; its `run` then returns."""


class Reminders(Protocol):
    """Where a tool has a reminder kept until it is due."""

    def now_ms(self) -> int:
        """UTC, milliseconds since 1970."""

    async def add(self, reminder: Reminder) -> str:
        """Keep it over restarts: "", or why not, in words. The same id again is the same reminder. Raises
        StoreFullError.
        """


class Resolver(Protocol):
    """Facts about an action that only the outside knows, asked before the decision and again just before the start."""

    def fingerprint(self, tool: str, arguments: dict[str, Any]) -> str:
        """SHA-256 of the executable a command names, "" for tools that have none. Raises TerminalError."""


class Sending(StrEnum):
    """What a platform can promise about a message whose sending was cut off (PLATFORMS.md)."""

    KEYED = "keyed"  # the same key again is the same message: send again
    RECONCILABLE = "reconcilable"  # our id can be found in its history: look, then send
    BLIND = "blind"  # nobody can know: do not send again, and say so


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Evidence of traffic, not a flag. Times are UTC milliseconds, 0 for never."""

    connected_at_ms: int = 0
    heard_at_ms: int = 0  # the last byte of any kind that came from the platform
    sent_at_ms: int = 0
    trouble: str = ""  # one line, "" while all is well


class Platform(Protocol):
    """Where people are. One object for the life of the process; `run` may be called many times, one after another."""

    @property
    def name(self) -> str:
        """telegram, discord, slack, console."""

    @property
    def sending(self) -> Sending:
        """What is known after a send that was cut off."""
        return Sending.BLIND

    async def run(self, intake: Intake) -> None:
        """Connect and receive for ever; an event is acknowledged only after `accept` returned. Builds everything anew
        at each call: raising is how a deaf or broken connection asks to be rebuilt. Raises AuthenticationError for a
        token that is refused.
        """

    def parts(self, post: Post) -> int:
        """How many messages it takes, at least 1. Pure."""
        return 1

    async def send(self, post: Post, edits: str, part: int = 0) -> str:
        """Show one part; `edits` is the receipt of the message to replace, "" for a new one. Returns the receipt.
        Raises RateLimitedError, RetryableError when it certainly did not arrive, AmbiguousError when nobody can know
        yet, TerminalError.
        """

    async def find_sent(self, post: Post, edits: str, part: int = 0) -> str | None:
        """After an unknown outcome: the receipt if it arrived, None if it did not or may be sent again without harm.
        Raises AmbiguousError when nobody can know, RetryableError when it cannot be asked now.
        """

    async def roles(self, account: str, conversation: Conversation) -> frozenset[str]:
        """The roles this account holds there at this moment, as the platform names them: "role:<id>", "group:<id>",
        "admin". Raises RetryableError when it cannot be asked now.
        """
        raise RetryableError(f"{self.name} knows no roles")

    def direct(self, account: str) -> Conversation | None:
        """Where the team speaks with this account alone, as `send` takes it; None where it cannot, or the account is of
        another platform. Pure: the same before every connection.
        """
        return None

    def is_private(self, conversation: Conversation) -> bool:
        """Whether the team and one account are alone in a conversation, as events name it or `direct` does. Pure."""
        return False

    async def fetch(self, file: Attachment) -> bytes:
        """A file somebody sent. Raises RetryableError, TerminalError (too large, gone)."""
        raise TerminalError(f"{self.name} keeps no files")

    def health(self) -> Health:
        """What is known of the connection."""
        return Health()


class Intake(Protocol):
    """What an adapter may ask of the engine: to take an event, and what it needs to draw a form."""

    async def accept(self, event: Event) -> bool:
        """Commit it. True: new; False: seen before. Raises StoreFullError: then nothing may be acknowledged."""

    async def concerns(self, event: MessageReceived) -> bool:
        """Whether a message that names nobody is for the team: in a thread it takes part in, in a channel bound to a
        role, or beginning with a role's name. What does not concern it is not stored.
        """

    async def knows(self, account: str) -> bool:
        """Whether this account is somebody's."""

    async def card(self, control: str) -> InquiryCard | None:
        """The card a control belongs to as it is now, for forms and for View all; None for one that can no longer be
        decided.
        """

    async def threads(self, platform: str, account: str) -> tuple[Conversation, ...]:
        """Conversations the team was given work in, the latest first, at most 200: where to look for what was said
        meanwhile.
        """

    async def recall(self, name: str) -> str:
        """A platform's own note, "" if there is none."""

    async def note(self, name: str, value: str) -> None:
        """Keep a note over restarts. Names begin with the platform's. For marks, never for messages or secrets."""


class Shelf(Protocol):
    """The workspace's shared files, as an adapter may see them: what agents publish, and what people send."""

    def read(self, artifact: str) -> tuple[str, bytes] | None:
        """Name and content of a result's file; None for anything that is not a file below files/, or is too large."""

    def keep(self, name: str, key: str, body: bytes) -> str:
        """Put what a person sent where agents can read it, once for a key. Returns the path agents' file tools know."""


class TeamSource(Protocol):
    """Definitions."""

    def current(self) -> Team:
        """The newest that is valid."""

    def of(self, root: TaskId) -> Team:
        """The one that a new request works by: during a rollout a share of them gets the candidate."""
        return self.current()

    def parse(self, blob: bytes) -> Team:
        """A stored one."""


class Drafts(Protocol):
    """The files that define the team, and what of them is in force. All but `edition` and `adopt` may take a while."""

    def edition(self) -> Edition:
        """What is in force."""

    def stamp(self) -> str:
        """Another one whenever a file may have changed: a look at each, no reading."""

    def read_at(self) -> str:
        """The stamp just before they were read last; "" while what they said is not what is in force."""

    def draft(self) -> Edition:
        """What the files say now. Raises ConfigError, a line for each thing that is wrong."""

    def adopt(self, edition: Edition) -> None:
        """It is in force from now on."""

    def diff(self, before: Edition, after: Edition) -> str:
        """Everything in which they differ, for people; "" for nothing."""

    def keep(self, at_ms: int) -> None:
        """Keep what the files said when they were read last, role by role, for whoever looks back."""


class Laws(Protocol):
    """What governs agents, as a file that only an owner's approval changes."""

    def fingerprint(self) -> str:
        """The digest of the file as it is; "" if it cannot be read."""

    def propose(self, rule: AllowRule) -> Amendment | str:
        """The change that adds this rule, or why it cannot be made."""

    def amend(self, rule: AllowRule, amendment: Amendment) -> str:
        """Make the change and load it: "" if that is so now, however often it is asked; else why not."""


class Calendar(Protocol):
    """Schedules: when something next comes due."""

    def next_after(self, schedule: str, after_ms: int) -> int | None:
        """The first time after `after_ms`, UTC."""
