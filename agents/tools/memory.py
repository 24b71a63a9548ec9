"""remember, recall, publish, post_bulletin, propose_principle: what a role keeps, and what it shares.

Law: an entry belongs to the role whose call it is, and only that role reads it until it is published. What an untrusted
task writes is marked, and replaces nothing that is trusted. Nothing is stored before secrets are masked. A run that
comes again writes the same row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from agents.redaction import Redactor
from agents.tools.control import shape
from core.model.memory import (
    BOARD,
    EVERYBODY,
    TEXT_BYTES_MAX,
    Layer,
    Memory,
    Place,
    Scope,
    Secrecy,
    memory_of,
    private,
)
from core.model.team import EffectClass, Person, Team, Tier, ToolSpec
from core.model.unit import Answer, Refused, Unit
from core.model.work import Failure, ToolResult
from core.ports import Clock, Workplace
from core.rules.absence import person_named
from core.rules.keeping import keep, read_across, still
from core.rules.remembering import clearance_of, line_of, places_of, query_of, teams_of

HOUR_MS = 3_600_000
DAYS_MAX = 3_650
FOUND_MAX = 10
SOURCES_MIN = 2
PER_MINUTE_MAX = 120

_FACT = {"type": "string", "maxLength": TEXT_BYTES_MAX}
_ID = {"type": "string", "maxLength": 20}


def _spec(name: str, about: str, schema: dict[str, Any], **more: Any) -> ToolSpec:
    given: dict[str, Any] = {"tier": Tier.INTERNAL, "effect": EffectClass.IDEMPOTENT} | more
    return ToolSpec(name=name, about=about, parameters=schema, on_demand=True, per_minute_max=PER_MINUTE_MAX, **given)


SPECS: dict[str, ToolSpec] = {
    spec.name: spec
    for spec in (
        _spec(
            "remember",
            "Keep a dated fact for your later tasks. No secrets, no guesses. One that is out of date: name it in"
            " `supersedes`.",
            shape(
                {
                    "fact": _FACT,
                    "supersedes": _ID | {"description": "id of the entry it replaces"},
                    "about": {"type": "string", "description": "the person it is about"},
                    "days": {"type": "integer", "minimum": 0, "description": "how long it holds; 0: a working note"},
                    "of": {
                        "type": "array",
                        "items": _ID,
                        "description": "for a pattern: ids of the entries it rests on, two at least",
                    },
                },
                ("fact",),
            ),
        ),
        _spec(
            "recall",
            "Search what you, your teams and everybody noted, by words.",
            shape({"query": {"type": "string", "maxLength": 400}}, ("query",)),
            tier=Tier.READ,
            effect=EffectClass.READ,
        ),
        _spec(
            "publish",
            "Share a fact, or an entry of yours by its id, with your team; with everybody if you lead.",
            shape(
                {
                    "fact": _FACT,
                    "id": _ID,
                    "to": {"enum": ["team", "global"], "default": "team"},
                    "supersedes": _ID | {"description": "id of the published entry it replaces"},
                }
            ),
        ),
        _spec(
            "post_bulletin",
            "Put a signed notice on the team's board, read for a week.",
            shape({"text": _FACT}, ("text",)),
        ),
        _spec(
            "propose_principle",
            "Propose a principle to work by from now on; a person accepts it. Rare.",
            shape(
                {"principle": _FACT, "reason": _FACT, "supersedes": _ID | {"description": "principle it replaces"}},
                ("principle", "reason"),
            ),
            tier=Tier.EXTERNAL,
            verb="adopt",
            resource="principle:{principle}",
            says="Keeps as a principle of its own, for every later task: {principle} Reason: {reason}",
        ),
    )
}


class Rows(Protocol):
    """What these tools look up."""

    async def memories_found(
        self, words: tuple[str, ...], places: tuple[Place, ...], classes: tuple[Secrecy, ...], limit: int
    ) -> tuple[Memory, ...]:
        """As Reads has it."""

    async def memories_like(self, prefix: str) -> tuple[Memory, ...]:
        """As Reads has it."""


class Keeper(Protocol):
    """Where it is kept."""

    async def commit(self, unit: Unit) -> Answer:
        """As Store has it."""

    @property
    def read(self) -> Rows:
        """The reading side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notebook:
    """What the tools of this file are given of the process they run in."""

    keeper: Keeper
    clock: Clock
    redact: Redactor


class NotKeptError(Exception):
    """Raised inside this file: why not, and what to do instead."""

    def __init__(self, why: str, recovery: str) -> None:
        super().__init__(why)
        self.why = why
        self.recovery = recovery


class MemoryTool:
    """What the tools have in common. `_do` raises NotKeptError."""

    NAME = ""

    def __init__(self, notebook: Notebook, team: Team) -> None:
        self._book = notebook
        self._team = team

    @property
    def spec(self) -> ToolSpec:
        return SPECS[self.NAME]

    @property
    def remembers(self) -> bool:
        return False

    async def run(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        try:
            return await self._do(arguments, place)
        except NotKeptError as error:
            return ToolResult(failure=Failure(what=f"{self.NAME} did nothing", why=error.why, recovery=error.recovery))

    async def cancel(self, attempt: str) -> None:
        """A row is written whole, in a moment."""

    async def _do(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        raise NotImplementedError

    # --- What they do with what they are told -----------------------------------------------------------------------

    def _text(self, text: object, *, contacts: bool = False) -> tuple[str, str]:
        """The text as it may be stored, and a line on what was masked in it. Raises NotKeptError."""
        found = self._book.redact(" ".join(str(text or "").split()), contacts=contacts)
        if not found.text:
            raise NotKeptError("there was no text", "Say in a sentence what is to be known later.")
        if len(found.text.encode("utf-8", "replace")) > TEXT_BYTES_MAX:
            raise NotKeptError(
                f"it is longer than {TEXT_BYTES_MAX} bytes", "Keep what matters, or write a file and remember its path."
            )
        return found.text, f" (masked: {', '.join(found.masked)})" if found.masked else ""

    async def _entry(self, some_id: object, places: tuple[Place, ...]) -> Memory:
        """The entry in use with this id, or beginning of one, in one of these places. Raises NotKeptError."""
        wanted = str(some_id).strip().strip("[]")
        found = await self._book.keeper.read.memories_like(wanted if wanted.startswith("m-") else f"m-{wanted}")
        here = [one for one in found if one.place in places and one.lives(self._book.clock.now_ms())]
        if len(here) != 1 or not wanted:
            raise NotKeptError(f"no entry {wanted[:20]} of yours is in use", "`recall` shows entries with their ids.")
        return here[0]

    async def _replaced(self, some_id: object, places: tuple[Place, ...], place: Workplace) -> Memory:
        """The entry that a new one takes the place of. Raises NotKeptError."""
        old = await self._entry(some_id, places)
        leads = self._team.roles[place.role].leads
        if old.place.scope is not Scope.PRIVATE and not leads and (old.by_person or old.by != place.role):
            raise NotKeptError(f"{old.id} was written by {old.by}", "Who wrote it replaces it, or who leads.")
        if place.untrusted and not old.untrusted:
            raise NotKeptError("this task has read text from outside", "Report what is out of date in your handoff.")
        return old

    async def _known(self, memory: str) -> bool:
        """An earlier run wrote it."""
        return any(one.id == memory for one in await self._book.keeper.read.memories_like(memory))

    async def _keep(self, memory: Memory, *more: Memory, old: tuple[str, ...] = ()) -> None:
        """Write it, or them together. Raises NotKeptError when what it replaces has been replaced meanwhile."""
        changes = (*keep(memory, old), *(change for one in more for change in keep(one)))
        answer = await self._book.keeper.commit(Unit(guards=still(old), changes=changes))
        if isinstance(answer, Refused):
            raise NotKeptError("what it replaces is not in use any more", "`recall` it and see what is there now.")

    def _new(self, place: Workplace, where: Place, text: str, **more: Any) -> Memory:
        return Memory(
            id=memory_of(place.attempt, where.key),
            place=where,
            text=text,
            at_ms=self._book.clock.now_ms(),
            by=place.role,
            untrusted=more.pop("untrusted", False) or place.untrusted,
            people=tuple(dict.fromkeys((*place.asked_by, *more.pop("people", ())))),
            task=place.task,
            **more,
        )


class Remember(MemoryTool):
    """Implements ports.Tool."""

    NAME = "remember"

    async def _do(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        mine, person = private(place.role), self._person(arguments, place)
        text, masked = self._text(arguments.get("fact"), contacts=person is not None)
        if await self._known(memory := memory_of(place.attempt, mine.key)):
            return ToolResult(text=f"noted as {memory}{masked}")
        sources = [await self._entry(one, (mine,)) for one in dict.fromkeys(arguments.get("of") or ())]
        if sources and len({one.id for one in sources}) < SOURCES_MIN:
            raise NotKeptError("a pattern rests on two entries at least", "Name them in `of`, or note it as a fact.")
        old: tuple[str, ...] = ()
        if given := arguments.get("supersedes"):
            replaced = await self._replaced(given, (mine,), place)
            if replaced.layer is Layer.PRINCIPLE:
                raise NotKeptError(f"{replaced.id} is a principle", "Propose another one: `propose_principle`.")
            old = (replaced.id,)
        people = [*([person.id] if person else []), *(one for source in sources for one in source.people)]
        one = self._new(
            place,
            mine,
            text,
            layer=Layer.PATTERN if sources else Layer.FACT,
            secrecy=max([*(s.secrecy for s in sources), self._class(person)], key=lambda secrecy: secrecy.rank),
            about=person.id if person else "",
            people=people,
            untrusted=any(source.untrusted for source in sources),
            sources=tuple(source.id for source in sources),
            expires_at_ms=self._until_ms(arguments),
        )
        await self._keep(one, old=old)
        return ToolResult(text=f"noted as {one.id}{masked}")

    def _person(self, arguments: dict[str, Any], place: Workplace) -> Person | None:
        given = str(arguments.get("about") or "")
        if not given:
            return None
        person = person_named(self._team, given)
        if person is None:
            known = ", ".join(one.id for one in self._team.people)
            raise NotKeptError(f"nobody here is called {given[:40]}", f"About people of the team only: {known}.")
        if Secrecy.PERSONAL not in clearance_of(self._team, place.role):
            raise NotKeptError(
                "what is about a person is not yours to keep", "Leave it out; a role with that clearance may keep it."
            )
        return person

    @staticmethod
    def _class(person: Person | None) -> Secrecy:
        return Secrecy.PERSONAL if person else Secrecy.INTERNAL

    def _until_ms(self, arguments: dict[str, Any]) -> int | None:
        """Until when it holds; without `days`, for good."""
        days = arguments.get("days")
        if days is None:
            return None
        hours = self._team.memory.notes_hours if days == 0 else 24 * min(days, DAYS_MAX)
        return self._book.clock.now_ms() + hours * HOUR_MS


class Recall(MemoryTool):
    """Implements ports.Tool."""

    NAME = "recall"

    async def _do(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        words = query_of(str(arguments.get("query") or ""))
        places, classes = places_of(self._team, place.role), clearance_of(self._team, place.role)
        found = await self._book.keeper.read.memories_found(words, places, classes, FOUND_MAX)
        now_ms = self._book.clock.now_ms()
        if across := read_across(found, place.role, place.task, place.attempt, now_ms):
            await self._book.keeper.commit(Unit(changes=across))
        text = "\n".join(line_of(one, self._team.zone) for one in found)
        return ToolResult(text=text or "nothing noted with these words", untrusted=any(one.untrusted for one in found))


class Publish(MemoryTool):
    """Implements ports.Tool."""

    NAME = "publish"

    async def _do(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        places = self._places(arguments, place)
        given = arguments.get("id")
        mine = await self._entry(given, (private(place.role),)) if given else None
        text, masked = self._text(mine.text if mine else arguments.get("fact"))
        if mine is not None and mine.secrecy is Secrecy.PERSONAL:
            raise NotKeptError("it is about a person", "What is about a person stays with you.")
        if await self._known(memory_of(place.attempt, places[-1].key)):
            return self._told(places, place, masked)
        old: tuple[str, ...] = ()
        if wanted := arguments.get("supersedes"):
            old = ((await self._replaced(wanted, places, place)).id,)
        copies = (
            self._new(
                place,
                where,
                text,
                people=mine.people if mine else (),
                untrusted=mine is not None and mine.untrusted,
                sources=(mine.id,) if mine else (),
                expires_at_ms=mine.expires_at_ms if mine else None,
            )
            for where in places
        )
        await self._keep(*copies, old=old)
        return self._told(places, place, masked)

    def _places(self, arguments: dict[str, Any], place: Workplace) -> tuple[Place, ...]:
        if arguments.get("to") == "global":
            if not self._team.roles[place.role].leads:
                raise NotKeptError("only who leads writes for everybody", "Publish to your team, or tell your lead.")
            return (EVERYBODY,)
        teams = teams_of(self._team, place.role)
        if not teams:
            raise NotKeptError("you are in no team", "Say it in your handoff instead.")
        return tuple(Place(scope=Scope.TEAM, owner=name) for name in teams)

    @staticmethod
    def _told(places: tuple[Place, ...], place: Workplace, masked: str) -> ToolResult:
        ids = ", ".join(f"{memory_of(place.attempt, where.key)} for {where.owner or 'everybody'}" for where in places)
        return ToolResult(text=f"published as {ids}{masked}")


class PostBulletin(MemoryTool):
    """Implements ports.Tool."""

    NAME = "post_bulletin"

    async def _do(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        text, masked = self._text(arguments.get("text"))
        one = self._new(place, BOARD, text)
        if not await self._known(one.id):
            await self._keep(one)
        return ToolResult(text=f"on the board as {one.id}{masked}")


class ProposePrinciple(MemoryTool):
    """Implements ports.Tool. Its tier sees to it that a person has accepted what it writes."""

    NAME = "propose_principle"

    async def _do(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        mine = private(place.role)
        text, masked = self._text(arguments.get("principle"))
        reason, _ = self._text(arguments.get("reason"))
        if await self._known(memory := memory_of(place.attempt, mine.key)):
            return ToolResult(text=f"a principle from now on: {memory}{masked}")
        old: tuple[str, ...] = ()
        if given := arguments.get("supersedes"):
            old = ((await self._entry(given, (mine,))).id,)
        one = self._new(place, mine, text, layer=Layer.PRINCIPLE, reason=reason)
        await self._keep(msgspec.structs.replace(one, untrusted=False), old=old)  # people have read these very words
        return ToolResult(text=f"a principle from now on: {memory}{masked}")


def tools(notebook: Notebook, team: Team) -> tuple[MemoryTool, ...]:
    """All of them."""
    return tuple(kind(notebook, team) for kind in (Remember, Recall, Publish, PostBulletin, ProposePrinciple))
