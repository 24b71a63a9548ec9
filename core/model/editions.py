"""What is in force together: one definition, or two while a role's new version is tried on a share of the requests."""

from __future__ import annotations

import msgspec

from core.model.ids import TaskId, digest_of
from core.model.team import Team

_PARTS = 10_000


class Edition(msgspec.Struct, frozen=True, kw_only=True):
    """`team` governs everything; new requests whose share it is work by `candidate`, and their children with them."""

    team: Team
    candidate: Team | None = None
    percent: int = 0

    @property
    def version(self) -> str:
        """One name for all of it."""
        if self.candidate is None:
            return self.team.version
        return digest_of(self.team.version, self.candidate.version, self.percent)

    @property
    def teams(self) -> tuple[Team, ...]:
        """Every definition that a task may be bound to."""
        return (self.team,) if self.candidate is None else (self.team, self.candidate)

    def of(self, root: TaskId) -> Team:
        """The definition of a request. Its id decides, so every look answers the same; a larger share keeps those it
        had.
        """
        if self.candidate is None or share_of(root) >= self.percent * _PARTS // 100:
            return self.team
        return self.candidate


class EditionNote(msgspec.Struct, frozen=True, kw_only=True, tag="EditionNote/1"):
    """Which stored definitions were in force last, by hash."""

    team: str
    candidate: str = ""
    percent: int = 0


def note_of(edition: Edition) -> EditionNote:
    """What a store remembers of an edition."""
    candidate = edition.candidate.version if edition.candidate else ""
    return EditionNote(team=edition.team.version, candidate=candidate, percent=edition.percent)


def share_of(root: TaskId) -> int:
    """Where a request falls, from 0 up to 10,000."""
    return int(digest_of("rollout", root)[:8], 16) % _PARTS
