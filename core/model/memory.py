"""What the team remembers: dated entries, each somebody's, none beside the one that replaced it.

An entry is data about the world, never an order: it governs nobody. What an untrusted task wrote is marked for ever.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

import msgspec

from core.model.ids import digest_of

TEXT_BYTES_MAX = 1_000
"""An entry is a fact, not a document."""
_DIGITS = 12


class Scope(StrEnum):
    """Who shares an entry: one role, one team, everybody; and the board that everybody may put notices on."""

    PRIVATE = "private"
    TEAM = "team"
    GLOBAL = "global"
    BULLETIN = "bulletin"


class Layer(IntEnum):
    """How far an entry has come: from what was noted to what is lived by."""

    FACT = 0
    KEPT = 1  # a fact that outlived a week, once
    PATTERN = 2  # what several entries have in common
    PRINCIPLE = 3  # with its reason, accepted by a person


class Secrecy(StrEnum):
    """Whose eyes an entry is for, the least secret first; a role reads up to its clearance."""

    PUBLIC = "public"
    INTERNAL = "internal"
    PERSONAL = "personal"

    @property
    def rank(self) -> int:
        """For comparisons."""
        return list(Secrecy).index(self)


class Place(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Where entries are: a scope, and whose. `owner` is a role's id, a team's name, or "" where it is everybody's."""

    scope: Scope
    owner: str = ""

    @property
    def key(self) -> str:
        """`private:devops`, `global:`."""
        return f"{self.scope.value}:{self.owner}"


EVERYBODY = Place(scope=Scope.GLOBAL)
BOARD = Place(scope=Scope.BULLETIN)


class Memory(msgspec.Struct, frozen=True, kw_only=True, tag="Memory/1"):
    """One entry. `by` signs it: a role's id, or a person's where `by_person`. `people`: whose words or affairs it comes
    from; forgetting any of them forgets it. `sources`: the entries it was made of.
    """

    id: str
    place: Place
    text: str
    at_ms: int
    by: str
    by_person: bool = False
    layer: Layer = Layer.FACT
    secrecy: Secrecy = Secrecy.INTERNAL
    about: str = ""  # a person's id
    people: tuple[str, ...] = ()
    expires_at_ms: int | None = None  # None: it stays
    superseded_by: str = ""  # an entry's id, or why it is not in use any more
    untrusted: bool = False
    reason: str = ""  # of a principle
    sources: tuple[str, ...] = ()
    task: str = ""

    def lives(self, now_ms: int) -> bool:
        """Neither replaced nor run out."""
        return not self.superseded_by and (self.expires_at_ms is None or self.expires_at_ms > now_ms)


class MemoryRule(msgspec.Struct, frozen=True, kw_only=True):
    """How a team remembers. `clearance` by role, internal where none is said; `bulletin`: the roles that read the board
    when a task begins, those that lead where none is named.
    """

    notes_hours: int = 24
    in_view_max: int = 50
    superseded_days: int = 90
    bulletin: tuple[str, ...] = ()
    clearance: dict[str, Secrecy] = {}


# --- Changes (core/model/unit.py) -----------------------------------------------------------------------------------


class PutMemory(msgspec.Struct, frozen=True, kw_only=True, tag="PutMemory"):
    """Remember an entry, and what it is found by. The same id again changes nothing."""

    memory: Memory


class SupersedeMemory(msgspec.Struct, frozen=True, kw_only=True, tag="SupersedeMemory"):
    """An entry is out of use from now on, and found no more; `by` is the one in its place, or why. Known as out of use,
    or unknown: no change.
    """

    id: str
    by: str


class ForgetMemories(msgspec.Struct, frozen=True, kw_only=True, tag="ForgetMemories"):
    """Remove these entries, and those that come from this person: rows, words and all."""

    ids: tuple[str, ...] = ()
    person: str = ""


# --- Ids and places -------------------------------------------------------------------------------------------------


def memory_of(*parts: object) -> str:
    """An entry's id, derived from what wrote it: a repeated run writes the same row."""
    return "m-" + digest_of("memory", *parts)[:_DIGITS]


def private(role: str) -> Place:
    """What one role keeps for itself."""
    return Place(scope=Scope.PRIVATE, owner=role)
