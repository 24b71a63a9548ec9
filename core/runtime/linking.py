"""Whose an account is: one principal, many accounts (INQUIRIES.md, Authority).

team.yaml names accounts; people bring others themselves, with a code that somebody known to the team was given. A code
works once and for an hour, and only its hash is kept.
"""

from __future__ import annotations

import base64
import hashlib

import msgspec

from core.model.events import Event
from core.model.inquiries import Evidence
from core.model.team import AccountLink, Person, Team
from core.model.unit import Change, Guard, InsertOnce, LinkAccount, SetMeta, Unit
from core.ports import Ids, Reads, Store
from core.rules.router import sender_of

CODE_MS = 3_600_000
CODES = "code:"


class Code(msgspec.Struct, frozen=True, kw_only=True, tag="Code/1"):
    """What is kept of a code."""

    person: str
    by: str
    expires_at_ms: int


async def issue(store: Store, ids: Ids, person: str, by: str, now_ms: int) -> str:
    """A new code for this person, as people type it: `4K7D-9QXM`, 40 bits. Those that ran out unused are taken away.
    Raises StoreFullError.
    """
    letters = base64.b32encode(bytes.fromhex(ids.token())[:5]).decode()
    code = Code(person=person, by=by, expires_at_ms=now_ms + CODE_MS)
    keep = SetMeta(name=_name(letters), value=msgspec.json.encode(code).decode())
    over = [SetMeta(name=name, value="") for name in await _expired(store.read, now_ms) if name != keep.name]
    await store.commit(Unit(changes=(*over, keep)))
    return f"{letters[:4]}-{letters[4:]}"


async def _expired(read: Reads, now_ms: int) -> list[str]:
    kept = [(name, msgspec.json.decode(value.encode(), type=Code)) for name, value in await read.facts(CODES)]
    return [name for name, code in kept if code.expires_at_ms <= now_ms]


def _name(code: str) -> str:
    letters = code.upper().replace("-", "").strip()
    return f"{CODES}{hashlib.sha256(letters.encode()).hexdigest()}"


async def redeem(
    read: Reads, team: Team, event: Event, code: str, now_ms: int
) -> tuple[Person, tuple[Guard, ...], tuple[Change, ...]] | None:
    """Whose the sender's account becomes, and what must be committed for it; None for a code that is not good."""
    known = await read.meta(_name(code))
    kept = msgspec.json.decode(known.encode(), type=Code) if known else None
    person = team.person(kept.person) if kept is not None and kept.expires_at_ms > now_ms else None
    if kept is None or person is None:
        return None
    link = AccountLink(account=event.sender.account, person=person.id, by=kept.by, at_ms=now_ms)
    used = InsertOnce(key=_name(code), digest=event.key)
    return person, (used,), (LinkAccount(link=link), SetMeta(name=_name(code), value=""))


async def person_of(read: Reads, team: Team, event: Event) -> tuple[Person | None, Evidence]:
    """Who did it: by team.yaml, else by a link; the one a command line names is asserted."""
    person, evidence = sender_of(team, event.sender)
    if person is None and event.sender.asserted is None:
        link = await read.account(event.sender.account)
        person = team.person(link.person) if link is not None else None
    return person, evidence


async def pair_code(store: Store, ids: Ids, team: Team, platform: str, now_ms: int) -> str | None:
    """A code for the first owner, if no owner can be reached on this platform yet."""
    owners = [person for person in team.people if person.role == "owner"]
    known = {account for person in owners for account in person.accounts}
    known |= {link.account for link in await store.read.accounts() if any(link.person == p.id for p in owners)}
    if not owners or any(account.startswith(f"{platform}:") for account in known):
        return None
    return await issue(store, ids, owners[0].id, "signoff run", now_ms)
