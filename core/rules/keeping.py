"""Every change of what the team remembers, as changes of one unit: the rows, and the line of the record. Pure.

The record says that something was remembered, read, replaced or forgotten, by whom and where; never what it said.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.model.memory import ForgetMemories, Memory, PutMemory, Scope, SupersedeMemory
from core.model.unit import AddAudit, Audit, Change, Guard, State, Table

LIVE = "live"


def keep(memory: Memory, supersedes: Iterable[str] = ()) -> tuple[Change, ...]:
    """Remember it, in the place of others. Use with `still` for each of those."""
    old = tuple(supersedes)
    detail = {"place": memory.place.key, "layer": int(memory.layer), "by": memory.by, "task": memory.task}
    if old:
        detail["supersedes"] = list(old)
    if memory.untrusted:
        detail["untrusted"] = True
    return (
        PutMemory(memory=memory),
        *(SupersedeMemory(id=one, by=memory.id) for one in old),
        AddAudit(row=_row(memory.id, "memory.kept", memory.at_ms, **detail)),
    )


def still(ids: Iterable[str]) -> tuple[Guard, ...]:
    """They are in use."""
    return tuple(State(table=Table.MEMORY, id=one, states=(LIVE,)) for one in ids)


def read_across(found: Iterable[Memory], role: str, task: str, key: str, at_ms: int) -> tuple[Change, ...]:
    """A role has read what is not its own; nothing if all of it is."""
    others = [one for one in found if one.place.scope is not Scope.PRIVATE]
    if not others:
        return ()
    detail = {"role": role, "task": task, "entries": [one.id for one in others]}
    return (AddAudit(row=_row(key, "memory.read", at_ms, **detail)),)


def forget(change: ForgetMemories, n: int, by: str, account: str, key: str, at_ms: int) -> tuple[Change, ...]:
    """Remove them; `n` of them, as they were counted."""
    subject = change.person or (change.ids[0] if len(change.ids) == 1 else "memory")
    row = Audit(
        id=f"{key}:memory.forgotten",
        at_ms=at_ms,
        what="memory.forgotten",
        subject=subject,
        principal=by,
        account=account,
        detail={"n": n},
    )
    return (change, AddAudit(row=row))


def _row(key: str, what: str, at_ms: int, **detail: object) -> Audit:
    return Audit(id=f"{key}:{what}", at_ms=at_ms, what=what, subject=key, detail=detail)
