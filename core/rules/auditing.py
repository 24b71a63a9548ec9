"""What goes on record about an action, and an action told again from the record alone (docs/audit.md). Pure.

Law of this file: a row names what was proposed and what was shown by digests, and holds no secret. Whatever `Actions`
tells comes from rows of the hash chain and from nowhere else: who trusts the chain can trust the telling.
"""

from __future__ import annotations

from typing import Final

import msgspec

from core.model.inquiries import DeliveryState, Inquiry, Vote
from core.model.team import Json
from core.model.unit import InquiryRow, Sealed
from core.model.views import InquiryCard
from core.rules.canonical import canonical, sha256_hex
from core.rules.decisions import Press
from core.rules.quorum import sets_of
from core.rules.text import shorten
from core.rules.values import masked, secret_texts
from core.rules.views import arguments_shown

TEXT_MAX: Final = 4_000
"""So much of one text is in a row; the digest binds all of it."""


def proposed(inquiry: Inquiry) -> dict[str, Json]:
    """A proposal, for the row of its revision. Arguments are JSON as text: a row must always have a canonical form."""
    action, secrets = inquiry.action, secret_texts(inquiry.action)
    arguments = msgspec.json.encode(arguments_shown(action)).decode() if action else ""
    return {
        "kind": inquiry.kind.value,
        "revision": inquiry.revision,
        "digest": inquiry.digest,
        "intent": inquiry.intent,
        "label": inquiry.label.value,
        "tier": inquiry.tier.value,
        "task": inquiry.task,
        "root": inquiry.root,
        "role": inquiry.role,
        "initiators": list(inquiry.initiators),
        "tool": action.tool if action else "",
        "verb": action.verb if action else "",
        "resource": masked(action.resource, secrets) if action else "",
        "arguments": shorten(arguments, TEXT_MAX),
        "question": shorten(inquiry.question, TEXT_MAX),
        "why": shorten(masked(inquiry.why, secrets), TEXT_MAX),
        "gates": list(inquiry.gates),
        "stages": [
            [{"eligible": list(one.eligible), "approve_n": one.approve_n} for one in sets_of(stage)]
            for stage in inquiry.stages
        ],
    }


def moved(inquiry: Inquiry, transition: int) -> dict[str, Json]:
    """What an inquiry has become; once it has ended, by whom and why."""
    now: dict[str, Json] = {"state": inquiry.state.value, "transition": transition, "revision": inquiry.revision}
    end = inquiry.resolution
    return now | ({"by": list(end.by), "reason": end.reason} if end is not None and inquiry.state.final else {})


def cast(vote: Vote, digest: str) -> dict[str, Json]:
    """A vote, and the digest of what it was about."""
    stands: dict[str, Json] = {"stands_for": list(vote.stands_for)} if vote.stands_for else {}
    return {
        "verb": vote.verb.value,
        "revision": vote.revision,
        "stage": vote.stage,
        "evidence": vote.evidence.value,
        "active": vote.active,
        "checked": vote.checked,
        "digest": digest,
        "reason": vote.reason,
        **stands,
    }


def refused(press: Press, why: str) -> dict[str, Json]:
    """A press that did not count."""
    return {
        "verb": press.verb.value,
        "revision": press.revision,
        "evidence": press.evidence.value,
        "reason": why,
    }


def shown(card: InquiryCard, row: InquiryRow, delivery: str, outcome: DeliveryState) -> dict[str, Json]:
    """To which place, of which revision, saying what."""
    place = next((one.conversation.key for one in row.deliveries if one.id == delivery), "")
    current = card.revision == row.inquiry.revision
    return {
        "outcome": outcome.value,
        "revision": card.revision,
        "place": place,
        "delivery": delivery,
        "view": view_digest(card),
        "digest": row.inquiry.digest if current else "",
    }


def view_digest(card: InquiryCard) -> str:
    """Of what a card says is to be decided, all of it: the same for every place it is shown in."""
    told = {
        "title": card.title,
        "line": card.line,
        "whole": [[field.name, field.shown] for field in card.whole],
        "why": card.why,
        "tier": card.tier,
    }
    return "v1:" + sha256_hex(canonical(told))


# --- Told again -----------------------------------------------------------------------------------------------------

_LISTS: Final = {
    "inquiry.opened": "proposed",
    "inquiry.revised": "proposed",
    "inquiry.shown": "shown",
    "inquiry.viewed": "viewed",
    "vote.cast": "votes",
    "press.refused": "refused",
    "grant.minted": "grants",
    "grant.revoked": "grants",
    "grant.expired": "grants",
    "attempt.queued": "ran",
    "attempt.started": "ran",
    "attempt.ended": "ran",
    "attempt.unknown": "ran",
}
_BESIDES: Final = "besides"
"""Reminders, comments, escalations, more time: what happens to an inquiry and decides nothing."""
_OF_ALL: Final = ("intent", "task", "root", "role", "kind", "tier", "label")


class Actions:
    """Fold the rows of a chain, in order, into one object an action. An action is what an inquiry asked for, or what
    ran without one.
    """

    def __init__(self) -> None:
        self._found: dict[str, dict[str, Json]] = {}
        self._of_grant: dict[str, str] = {}

    def add(self, link: Sealed) -> None:
        """The next row."""
        row = link.row
        moves = row.what == "inquiry.moved"
        where = _LISTS.get(row.what, _BESIDES)
        key = self._key(link)
        if not key:
            return
        action = self._found.setdefault(key, _new(key))
        action["last_seq"], action["last_at_ms"] = link.seq, row.at_ms
        action["first_seq"] = action["first_seq"] or link.seq
        told: dict[str, Json] = {"seq": link.seq, "at_ms": row.at_ms, "what": row.what}
        told |= {"principal": row.principal, "account": row.account} if row.principal or row.account else {}
        told |= row.detail
        if grant := str(row.detail.get("grant") or ""):
            self._of_grant.setdefault(grant, key)
        if row.what in {"inquiry.opened", "inquiry.revised"}:
            action.update({name: row.detail[name] for name in _OF_ALL if name in row.detail})
        if moves:
            action["state"] = row.detail.get("state")
            action["state_at_ms"] = row.at_ms
        else:
            action[where].append({name: value for name, value in told.items() if name not in _OF_ALL})

    def _key(self, link: Sealed) -> str:
        """The inquiry a row is about; of what ran without one, the attempt; "" for rows of other things."""
        row = link.row
        if not row.what.startswith("attempt."):
            return row.subject if row.subject.startswith("i-") else ""
        known = self._of_grant.get(str(row.detail.get("grant") or ""), "")
        started = self._of_grant.get(row.subject, "")
        key = known or started or row.subject
        self._of_grant[row.subject] = key  # rows of earlier releases name the grant at the start only
        return key

    def told(self) -> tuple[dict[str, Json], ...]:
        """Every action, in the order in which they were first heard of."""
        return tuple(self._found.values())


def _new(key: str) -> dict[str, Json]:
    blank: dict[str, Json] = dict.fromkeys(_OF_ALL)
    lists: dict[str, Json] = {name: [] for name in dict.fromkeys((*_LISTS.values(), _BESIDES))}
    inquiry = key if key.startswith("i-") else None
    times: dict[str, Json] = {"state": None, "state_at_ms": None, "first_seq": 0, "last_seq": 0, "last_at_ms": 0}
    return {"inquiry": inquiry, **blank, **times, **lists}
