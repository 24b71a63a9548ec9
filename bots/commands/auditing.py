"""The audit chain: is it whole, and all of it as text. A row that was changed, moved, added or taken away shows."""

from __future__ import annotations

import argparse
import re
from collections.abc import AsyncIterator

import msgspec

from bots.app import House
from bots.commands.place import UsageError, with_house
from bots.commands.shapes import audit_shape, line
from core.model.errors import TerminalError
from core.model.unit import Sealed
from core.rules.canonical import audit_hash

BATCH_MAX = 1000
_HEAD = re.compile(r"(\d+):([0-9a-f]{64})")


def audit(parsed: argparse.Namespace) -> int:
    """Verify or export."""
    if parsed.what == "export":
        return with_house(_export)(parsed)
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


async def _export(_parsed: argparse.Namespace, house: House) -> int:
    async for sealed in _rows(house):
        print(line(audit_shape(sealed)))
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
