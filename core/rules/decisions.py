"""A press, everything it is judged by, and the judgement: data between rules and whoever writes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from core.model.events import Conversation
from core.model.ids import GrantId
from core.model.inquiries import (
    Bounds,
    Evidence,
    Grant,
    GrantState,
    Inquiry,
    InquiryState,
    Kind,
    Resolution,
    Stage,
    Verb,
    Vote,
)
from core.model.team import Json, Team
from core.model.unit import InquiryRow
from core.model.work import Verdict
from core.rules.times import Wanted
from core.rules.transitions import move
from core.rules.votes import names_of

STANDING_MS_MAX = 60_000
"""How old a look at somebody's standing may be."""

QUESTIONS = frozenset({Kind.CHOICE, Kind.QUESTION, Kind.FORM})
"""What everybody may answer who may give work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """Somebody pressed. `principal` None: the account is nobody's. `edit` maps editable paths to new values; `fields`
    are a native form's texts, to be read for the answer or the edit instead. `stands_for`: the absent whose delegate
    it is. `wanted`: for how often, as it was typed; `bounds`: the same, known to fit.
    """

    verb: Verb
    principal: str | None
    account: str
    evidence: Evidence
    callback: str
    revision: int
    at_ms: int
    reason: str = ""
    answer: Json = None
    edit: dict[str, Json] | None = None
    fields: dict[str, str] | None = None
    conversation: Conversation | None = None
    stands_for: tuple[str, ...] = ()
    wanted: Wanted | None = None
    bounds: Bounds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether a person may approve, looked up just before; None: nobody could tell."""

    principal: str
    may_approve: bool | None
    checked_at_ms: int

    def known(self, now_ms: int) -> Standing:
        """The same, if it is not too old to tell; then nobody can."""
        fresh = abs(now_ms - self.checked_at_ms) <= STANDING_MS_MAX
        return self if fresh else replace(self, may_approve=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to write and whom to tell. `inquiry` is the same object if unchanged; `transition` 0 is none. `vote` is
    cast or, when inactive, taken back. `revoke` and `expire` name the grant that ends. `finalise`: what is on screen is
    out of date: buttons go, and where the inquiry is active it is shown anew. `comment` goes to the agent instead of a
    decision, `remark` besides it. `recorded` and `detail`: what the audit says of it, besides the transition.
    """

    inquiry: Inquiry
    vote: Vote | None = None
    grant: Grant | None = None
    revoke: GrantId | None = None
    expire: GrantId | None = None
    verdict: Verdict | None = None
    transition: int = 0
    note: str = ""
    changed: bool = False
    finalise: bool = False
    comment: str | None = None
    remark: str = ""
    recorded: str = ""
    detail: dict[str, Json] = field(default_factory=dict)


def grant_lives(row: InquiryRow, now_ms: int) -> bool:
    """Whether an approved inquiry can still be edited or taken back."""
    grant = row.grant
    approved = row.inquiry.state is InquiryState.APPROVED
    return approved and grant is not None and grant.state is GrantState.LIVE and now_ms < grant.execute_by_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A press, and everything it is judged by. `who` is its principal, known by then. `others`: the standing of earlier
    voters, where it is not the team's definition alone that says it.
    """

    row: InquiryRow
    inquiry: Inquiry
    press: Press
    who: str
    standing: Standing
    team: Team
    now_ms: int
    fingerprint: str
    others: tuple[Standing, ...] = ()

    @property
    def live(self) -> GrantId | None:
        """The grant that can still be taken back."""
        return self.row.grant.id if self.row.grant and grant_lives(self.row, self.now_ms) else None

    @property
    def stage(self) -> Stage:
        return self.inquiry.stages[self.inquiry.stage]

    @property
    def entitled(self) -> bool:
        """Standing is known, and fresh. (A known "no" was refused before.)"""
        return self.inquiry.kind in QUESTIONS or bool(self.standing.known(self.now_ms).may_approve)

    def counting(self, votes: Iterable[Vote]) -> tuple[Vote, ...]:
        """The votes as they count now: those of people who have lost their standing do not, and those of people whose
        standing nobody can tell are only kept.
        """
        return tuple(counted for vote in votes if (counted := self._as_it_counts(vote)) is not None)

    def _as_it_counts(self, vote: Vote) -> Vote | None:
        found = {s.known(self.now_ms).may_approve for s in self.others if s.principal == vote.principal}
        if False in found:
            return None
        return msgspec.structs.replace(vote, checked=None not in found) if found else vote

    def vote(self, verb: Verb, *, active: bool = True, stage: int | None = None) -> Vote:
        return Vote(
            inquiry=self.inquiry.id,
            revision=self.inquiry.revision,
            stage=self.inquiry.stage if stage is None else stage,
            principal=self.who,
            account=self.press.account,
            evidence=self.press.evidence,
            verb=verb,
            callback=self.press.callback,
            at_ms=self.press.at_ms,
            reason=self.press.reason,
            answer=self.press.answer,
            active=active,
            checked=self.entitled,
            conversation=self.press.conversation,
            bounds=self.press.bounds if verb is Verb.APPROVE else None,
            stands_for=self.press.stands_for,
        )

    def noted(self, note: str) -> Decision:
        """Nothing changes but what the presser is told."""
        return Decision(inquiry=self.row.inquiry, note=note)

    def moved(self, number: int, to: InquiryState, **changes: Any) -> Inquiry:
        return move(self.inquiry, number, to, updated_at_ms=self.now_ms, **changes)


# --- The end --------------------------------------------------------------------------------------------------------


def resolved(
    case: Case,
    number: int,
    state: InquiryState,
    note: str,
    *,
    vote: Vote | None = None,
    by: tuple[str, ...] = (),
    grant: Grant | None = None,
    answer: Json = None,
) -> Decision:
    """People have decided. Without a vote of its own, the press is recorded as one."""
    people = by or (case.who,)
    cast = vote or (None if number in {7, 8} else case.vote(case.press.verb))
    return closed(case, number, state, note=note, by=people, vote=cast, grant=grant, answer=answer)


def closed(
    case: Case,
    number: int,
    state: InquiryState,
    *,
    note: str,
    by: tuple[str, ...],
    vote: Vote | None = None,
    grant: Grant | None = None,
    answer: Json = None,
    revoke: GrantId | None = None,
    why: str = "",
) -> Decision:
    # A rule's reason is `why`, or its note; a person's reason is their own words.
    people = all(case.team.person(p) is not None for p in by)
    reason = case.press.reason if people else why or note
    votes = (*case.row.votes, *((vote,) if vote else ()))
    stands_for = {v.principal: v.stands_for for v in votes if v.active and v.stands_for and v.principal in by}
    end = Resolution(by=by, at_ms=case.now_ms, reason=reason, answer=answer, stands_for=stands_for)
    inquiry = case.moved(number, state, resolution=end)
    approved = state is InquiryState.APPROVED and inquiry.action is not None
    verdict = Verdict(
        inquiry=inquiry.id,
        state=state.value,
        by=names_of(by, case.team),
        reason=reason,
        answer=_told(inquiry, answer),
        grant=grant.id if grant else None,
        action_arguments=inquiry.action.arguments if approved and inquiry.action else None,
        edited=approved and inquiry.edited,
        label=inquiry.label.value,
    )
    return Decision(
        inquiry=inquiry,
        vote=vote,
        grant=grant,
        revoke=revoke,
        verdict=verdict,
        transition=number,
        note=note,
        changed=True,
        finalise=True,
    )


def _told(inquiry: Inquiry, answer: Json) -> Json:
    """A reconciliation's answer as its task hears it."""
    if inquiry.kind is not Kind.RECONCILE or answer is None:
        return answer
    return {"outcome": {Verb.GIVE_UP.value: "gave_up"}.get(answer, answer)}
