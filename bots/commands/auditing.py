"""The audit chain: is it whole, and all of it as text (docs/audit.md).

A row that was changed, moved, added or taken away shows.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import AsyncIterator, Callable
from functools import partial

import msgspec

from bots.app import House
from bots.commands.place import UsageError, moment_of, with_house
from bots.commands.shapes import audit_shape, line
from core.model.errors import TerminalError
from core.model.unit import Sealed
from core.rules.auditing import Actions
from core.rules.canonical import audit_hash

BATCH_MAX = 1000
_HEAD = re.compile(r"(\d+):([0-9a-f]{64})")


def audit(parsed: argparse.Namespace) -> int:
    """Verify or export."""
    if parsed.what == "export":
        return _export(parsed)
    wanted = _head_of(parsed.head)
    return with_house(lambda _parsed, house: _verify(house, wanted))(parsed)


async def _verify(house: House, wanted: tuple[int, str] | None) -> int:
    """Recompute every link. Raises TerminalError, naming the first row that is wrong."""
    seq, head = 0, ""
    async for sealed in _rows(house):
        if sealed.seq != seq + 1:
            raise TerminalError(f"audit row {seq + 1} is missing", "somebody deleted it; compare with a backup")
        if sealed.previous != head or sealed.hash != audit_hash(head, sealed.seq, sealed.row):
            raise TerminalError(f"audit row {sealed.seq} was changed or moved", "compare it with a backup")
        seq, head = sealed.seq, sealed.hash
        if wanted and wanted[0] == seq and wanted[1] != head:
            raise TerminalError(f"audit row {seq} is not the one you wrote down", "the chain was written anew")
    if wanted and wanted[0] > seq:
        raise TerminalError(
            f"the chain ends at row {seq}, before {wanted[0]}", "its tail was cut; compare with a backup"
        )
    unsealed = len(await house.store.read.unsealed(BATCH_MAX))
    waiting = f"; {unsealed} more are not linked yet" if unsealed else ""
    print(f"{seq} audit rows, the chain is whole{waiting}")
    if seq:
        print(f"head {seq}:{head}")
    return 0


def _head_of(typed: str | None) -> tuple[int, str] | None:
    if typed is None:
        return None
    found = _HEAD.fullmatch(typed)
    if found is None or not int(found[1]):
        raise UsageError(f"{typed} is no head", "N:HASH, as `signoff audit verify` prints it")
    return int(found[1]), found[2]


def _export(parsed: argparse.Namespace) -> int:
    """Rows as they are linked, then actions, told from those rows. A file is new, or nothing is written."""
    if parsed.out is None:
        return with_house(lambda _parsed, house: _write(house, parsed.since, print))(parsed)
    number = os.open(parsed.out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(number, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, made with its mode
        return with_house(lambda _parsed, house: _write(house, parsed.since, partial(print, file=file)))(parsed)


async def _write(house: House, since: str | None, write: Callable[[str], None]) -> int:
    since_ms = moment_of(since, house.teams.current().zone)
    actions = Actions()
    async for sealed in _rows(house):
        actions.add(sealed)  # an action that goes on is told from its beginning
        if sealed.row.at_ms >= since_ms:
            write(line(audit_shape(sealed)))
    for action in actions.told():
        if action["last_at_ms"] >= since_ms:
            write(line({"action": action}))
    return 0


async def _rows(house: House) -> AsyncIterator[Sealed]:
    after = 0
    while True:
        try:
            rows = await house.store.read.chain(after, BATCH_MAX)
        except msgspec.MsgspecError as error:
            raise TerminalError(f"an audit row after {after} cannot be read ({error})", "it was changed") from error
        for sealed in rows:
            yield sealed
        if len(rows) < BATCH_MAX:
            return
        after = rows[-1].seq
