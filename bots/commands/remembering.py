"""`signoff memory` and `signoff bulletin`: what the team remembers, for people to read, edit and have forgotten."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from agents.memory_file import FILE_BYTES_MAX, Edit, Reader, written
from bots.app import House
from bots.commands.place import PLATFORM, opened, os_user, person_of, refuse_inside_a_run, with_house
from core.adapters.sqlite import migrate
from core.model.errors import ConfigError, DeniedError, SignoffError, TerminalError
from core.model.memory import BOARD, EVERYBODY, ForgetMemories, Memory, Place, Scope, Secrecy, private
from core.model.team import Person, Team
from core.model.unit import Change, Refused, Unit
from core.rules.absence import person_named
from core.rules.keeping import forget as forgetting
from core.rules.keeping import keep, still
from core.rules.remembering import line_of, query_of
from core.rules.text import one_line

T = TypeVar("T")
SHOWN_MAX = 10_000
FOUND_MAX = 50
EDITOR = "vi"
NOT_FORGOTTEN = (
    "Not forgotten: messages, journals of tasks, the audit record and backups hold what was said then (docs/memory.md)."
)


def memory(parsed: argparse.Namespace) -> int:
    """show, edit, import, search, forget. What changes something raises DeniedError inside a tool's run."""
    match parsed.what:
        case "show":
            return with_house(_show)(parsed)
        case "search":
            return with_house(_search)(parsed)
        case "edit":
            refuse_inside_a_run()
            return _edit(parsed)
        case "import":
            refuse_inside_a_run()
            return _import(parsed)
        case _:
            refuse_inside_a_run()
            return with_house(_forget)(parsed)


def bulletin(parsed: argparse.Namespace) -> int:
    """The board, or its archive."""
    return with_house(_bulletin)(parsed)


# --- Whose ----------------------------------------------------------------------------------------------------------


def _place(team: Team, named: str) -> Place:
    """`devops`, `team:engineering`, `global`. Raises TerminalError."""
    if named in team.roles:
        return private(named)
    if named.startswith("team:") and named.removeprefix("team:") in team.teams:
        return Place(scope=Scope.TEAM, owner=named.removeprefix("team:"))
    if named == EVERYBODY.scope.value:
        return EVERYBODY
    known = ", ".join((*team.roles, *(f"team:{name}" for name in team.teams), EVERYBODY.scope.value))
    raise TerminalError(f"nobody here is called {one_line(named, 40)}", f"it is one of: {known}")


def _may_read(person: Person, one: Memory) -> bool:
    """What is about a person is for them, and for those who decide."""
    return one.secrecy is not Secrecy.PERSONAL or person.may_approve or one.about == person.id


def _editor_of(parsed: argparse.Namespace, team: Team) -> Person:
    person = person_of(parsed, team)
    if not person.may_approve:
        raise DeniedError(f"{person.name} may not change what the team remembers", "an owner or an approver may")
    return person


def _told(found: tuple[Memory, ...], person: Person) -> tuple[Memory, ...]:
    """What this person may read; how much else there is, is said."""
    seen = tuple(one for one in found if _may_read(person, one))
    if len(seen) < len(found):
        print(f"({len(found) - len(seen)} about people are not for you to read)")
    return seen


# --- Reading --------------------------------------------------------------------------------------------------------


async def _show(parsed: argparse.Namespace, house: House) -> int:
    team = house.teams.current()
    place, person = _place(team, parsed.owner), person_of(parsed, team)
    found = await house.store.read.memories((place,), SHOWN_MAX)
    print(written(place, _told(found, person), team.zone, house.clock.now_ms()), end="")
    return 0


async def _search(parsed: argparse.Namespace, house: House) -> int:
    team = house.teams.current()
    place, person = _place(team, parsed.owner), person_of(parsed, team)
    words = query_of(" ".join(parsed.words))
    found = await house.store.read.memories_found(words, (place,), tuple(Secrecy), FOUND_MAX)
    for one in _told(found, person):
        print(line_of(one, team.zone))
    if not found:
        print("nothing with these words")
    return 0


async def _bulletin(parsed: argparse.Namespace, house: House) -> int:
    team, read = house.teams.current(), house.store.read
    found = await read.memories_archived(BOARD) if parsed.archive else await read.memories((BOARD,))
    for one in found:
        print(line_of(one, team.zone))
    if not found:
        print("the archive is empty" if parsed.archive else "nothing is on the board")
    return 0


# --- Editing --------------------------------------------------------------------------------------------------------


def _edit(parsed: argparse.Namespace) -> int:
    """In $VISUAL or $EDITOR. A file with a mistake is kept, to be mended and imported."""
    before = _inside(parsed, lambda house: _editable(parsed, house))
    number, name = tempfile.mkstemp(prefix="MEMORY-", suffix=".md")
    path = Path(name)
    with open(number, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, made for nobody else to read
        file.write(before)
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or EDITOR
    try:
        done = subprocess.run([*shlex.split(editor), name], check=False)  # noqa: S603 - the person's own editor
    except (OSError, ValueError) as error:
        path.unlink()
        raise TerminalError(f"{editor} cannot be started ({error})", "set EDITOR to yours") from error
    try:
        after = _text_of(path)
        if done.returncode or after == before:
            print("nothing was changed")
        else:
            _inside(parsed, lambda house: _change(parsed, house, after, name))
    except SignoffError:
        print(f"Your text is in {name}. Mended: `signoff memory import {parsed.owner} {name}`.")
        raise
    path.unlink()
    return 0


def _import(parsed: argparse.Namespace) -> int:
    path = Path(parsed.file).expanduser()
    text = _text_of(path)
    _inside(parsed, lambda house: _change(parsed, house, text, str(path)))
    return 0


def _inside(parsed: argparse.Namespace, work: Callable[[House], Awaitable[T]]) -> T:
    """Nothing stays open while somebody types."""
    import asyncio  # noqa: PLC0415

    async def run() -> T:
        async with opened(parsed) as house:
            return await work(house)

    return asyncio.run(run())


async def _editable(parsed: argparse.Namespace, house: House) -> str:
    team = house.teams.current()
    place, _ = _place(team, parsed.owner), _editor_of(parsed, team)
    found = await house.store.read.memories((place,), SHOWN_MAX)
    return written(place, found, team.zone, house.clock.now_ms())


def _text_of(path: Path) -> str:
    try:
        raw = path.read_bytes()
        if len(raw) > FILE_BYTES_MAX:
            raise ConfigError(f"has {len(raw)} bytes", file=str(path), expected=f"at most {FILE_BYTES_MAX}")
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8", file=str(path), expected="text in UTF-8") from error


async def _change(parsed: argparse.Namespace, house: House, text: str, name: str) -> None:
    """All that the file comes to, in one transaction. Raises ConfigError, TerminalError."""
    team, now_ms = house.teams.current(), house.clock.now_ms()
    place, person = _place(team, parsed.owner), _editor_of(parsed, team)
    found = await house.store.read.memories((place,), SHOWN_MAX)
    reader = Reader(place, found, person, redact=house.redact, zone=team.zone, now_ms=now_ms, name=name)
    edit = reader.read(text)
    replaced = [old for _, old in edit.kept if old]
    changes: list[Change] = [c for one, old in edit.kept for c in keep(one, (old,) if old else ())]
    if edit.forgotten:
        changes += _forgotten(house, person, ForgetMemories(ids=edit.forgotten), len(edit.forgotten))
    guards = (*still(replaced), *still(edit.forgotten))
    if isinstance(await house.store.commit(Unit(guards=guards, changes=tuple(changes))), Refused):
        raise TerminalError("somebody else has changed it meanwhile", "show it again, and make your changes there")
    print(_says(edit, len(replaced)))
    if edit.forgotten:
        _settle(house)


def _says(edit: Edit, replaced_n: int) -> str:
    counts = ((len(edit.kept) - replaced_n, "new"), (replaced_n, "replaced"), (len(edit.forgotten), "forgotten"))
    said = ", ".join(f"{n} {what}" for n, what in counts if n) or "nothing was changed"
    return f"{said} (masked: {', '.join(edit.masked)})" if edit.masked else said


# --- Forgetting -----------------------------------------------------------------------------------------------------


def _forgotten(house: House, person: Person, change: ForgetMemories, n: int) -> tuple[Change, ...]:
    account, key = f"{PLATFORM}:{os_user()}", f"forget:{house.ids.token()}"
    return forgetting(change, n, person.id, account, key, house.clock.now_ms())


async def _forget(parsed: argparse.Namespace, house: House) -> int:
    team = house.teams.current()
    if parsed.id is not None:
        by, found = _editor_of(parsed, team), await house.store.read.memories_like(parsed.id)
        if len(found) != 1:
            raise TerminalError(
                f"there is no one entry {one_line(parsed.id, 20)}", "`signoff memory show` has their ids"
            )
        change = ForgetMemories(ids=(found[0].id,))
    else:
        by, person = person_of(parsed, team), person_named(team, parsed.of)
        whom = person.id if person is not None else parsed.of
        found = await house.store.read.memories_of(whom, SHOWN_MAX)
        if person is None and not found:
            raise TerminalError(f"nobody is called {one_line(parsed.of, 40)}", "by id, or by name, as in team.yaml")
        if by != person and by.role != "owner":
            raise DeniedError(f"{by.name} may not have that forgotten", "an owner may, or whose data it is")
        change = ForgetMemories(person=whom)
    await house.store.commit(Unit(changes=_forgotten(house, by, change, len(found))))
    print("1 entry is forgotten" if len(found) == 1 else f"{len(found)} entries are forgotten")
    _settle(house)
    if change.person:
        await _mentioned(house, team, parsed.of)
    print(NOT_FORGOTTEN)
    return 0


async def _mentioned(house: House, team: Team, name: str) -> None:
    """Entries of others that have the name in them: whether they are about that person, only people can say."""
    places = (*(private(role) for role in team.roles), *(Place(scope=Scope.TEAM, owner=one) for one in team.teams))
    person = person_named(team, name)
    words = query_of(person.name if person is not None else name)
    found = await house.store.read.memories_found(words, (*places, EVERYBODY, BOARD), tuple(Secrecy), FOUND_MAX)
    whole = [one for one in found if set(words) <= set(query_of(one.text))]
    for key, n in sorted(Counter(one.place.key for one in whole).items()):
        print(f"{n} more in {key} have that name in them: `signoff memory search` shows them, `--id` forgets one")


def _settle(house: House) -> None:
    """Out of the database's log, too."""
    if not migrate.settle(house.workspace.database):
        print("(The database is in use: what is left of it in its log goes as the engine works on.)")
