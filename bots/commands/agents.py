"""`signoff agents`: who is in the team, in which version, what changed, and what each costs and achieves."""

from __future__ import annotations

import argparse
from collections import Counter
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from agents import prompts, rollout
from agents.costs import cost_of, priced
from agents.team import TeamErrors
from agents.versions import (
    FOLDER,
    SHOWN,
    RoleVersion,
    Versions,
    concerned,
    diff_of,
    facts_of,
    files_of,
    in_one_line,
    pages_of,
)
from bots.app import House
from bots.commands.place import UsageError, with_house, workspace_of
from bots.commands.role_numbers import numbers_of, told
from core.model.errors import TerminalError
from core.model.team import Team
from core.rules.text import human_count

TASKS_MAX = 50_000
DAY_MS = 86_400_000


def agents(parsed: argparse.Namespace) -> int:
    """What changes files or tasks raises DeniedError inside a tool's run."""
    match parsed.what:
        case None:
            return with_house(_list)(parsed)
        case "history":
            try:
                return with_house(_history)(parsed)
            except TeamErrors:
                return _kept(parsed)
        case "diff":
            return with_house(_diff)(parsed)
        case "cost":
            return with_house(_cost)(parsed)
        case "stats":
            return with_house(_stats)(parsed)
        case _:
            from bots.commands import agent_files  # noqa: PLC0415 - only those that write need it

            return agent_files.change(parsed)


def _known(house: House, role: str) -> Team:
    """The team in force. Raises TerminalError for a role it does not have."""
    team = house.teams.current()
    if role and role not in team.roles:
        raise TerminalError(f"there is no role {role[:40]}", f"here are: {', '.join(team.roles)}")
    return team


async def _list(_parsed: argparse.Namespace, house: House) -> int:
    edition, files = house.teams.edition(), house.teams.files_team()
    team, rows = edition.team, []
    for role in team.roles.values():
        notes = []
        if edition.candidate is not None and edition.candidate.roles[role.id].version != role.version:
            tried = edition.candidate.roles[role.id].version[:SHOWN]
            notes.append(f"{edition.percent} % of new requests: {tried}")
        on_disk = files.roles.get(role.id) if files else None
        if on_disk is not None and on_disk.version != role.version:
            pinned = role.id in rollout.pins_of(house.workspace.root).pins
            notes.append("pinned" if pinned else "its files say something else")
        size = human_count(prompts.tokens(role.prompt))
        rows.append(
            (role.id, role.title, team.model_of(role.id).model, role.version[:SHOWN], f"prompt {size} tokens", *notes)
        )
    _table(rows)
    return 0


def _table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[n]) for row in rows if n < len(row)) for n in range(max(map(len, rows), default=0))]
    for row in rows:
        print("  ".join(f"{cell:<{widths[n]}}" for n, cell in enumerate(row)).rstrip())


# --- Versions ---------------------------------------------------------------------------------------------------------


async def _history(parsed: argparse.Namespace, house: House) -> int:
    team, ran = _known(house, parsed.role), Counter[str]()
    house.teams.keep(house.clock.now_ms())
    for row in await house.store.read.tasks(limit=TASKS_MAX):
        ran[row.task.role_version] += 1
    files, zone = house.teams.files_team(), ZoneInfo(team.zone)
    for role in [parsed.role] if parsed.role else team.roles:
        if not parsed.role:
            print(f"{role}:")
        before: RoleVersion | None = None
        for kept in house.teams.versions.of(role):
            when = datetime.fromtimestamp(kept.at_ms / 1000, zone).strftime("%Y-%m-%d %H:%M")
            marks = ["in force"] if kept.version == team.roles[role].version else []
            if files and role in files.roles and kept.version == files.roles[role].version and not marks:
                marks = ["its files"]
            n = ran[kept.version]
            tasks = f"{n} {'task' if n == 1 else 'tasks'}"
            print("  ".join((kept.version[:SHOWN], when, tasks, in_one_line(before, kept), *marks)))
            before = kept
    return 0


def _kept(parsed: argparse.Namespace) -> int:
    """While the files cannot be loaded: what there is to go back to. Raises TerminalError for a role nobody knows."""
    root = workspace_of(parsed).root
    versions = Versions(root)
    roles = sorted(folder.name for folder in (root / FOLDER).glob("*") if not parsed.role or parsed.role == folder.name)
    rows: list[tuple[str, ...]] = [
        (role, one.version[:SHOWN], datetime.fromtimestamp(one.at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC"))
        for role in roles
        for one in versions.of(role)
    ]
    if not rows:
        raise TerminalError("the files cannot be loaded, and no version is kept", "`signoff check` says what is wrong")
    print("The files cannot be loaded: `signoff check` says why, `signoff agents rollback ROLE VERSION` goes back to")
    _table(rows)
    return 0


async def _diff(parsed: argparse.Namespace, house: House) -> int:
    """Between two versions; without a second, with the files as they are; without any, from what is in force."""
    team = _known(house, parsed.role)
    house.teams.keep(house.clock.now_ms())
    first = parsed.a or team.roles[parsed.role].version
    before = house.teams.versions.find(parsed.role, first)
    if parsed.b:
        after = house.teams.versions.find(parsed.role, parsed.b)
        pages, name = pages_of(after), after.version[:SHOWN]
    else:
        pages, name = _on_disk(house, parsed.role), "files"
    said = diff_of(pages_of(before), pages, before.version[:SHOWN], name)
    if said:
        print(said)
    else:
        print(f"nothing differs between {before.version[:SHOWN]} and {'its files' if name == 'files' else name}")
    return 0


def _on_disk(house: House, role: str) -> dict[str, str]:
    """Raises TerminalError while the files cannot be loaded."""
    files = house.teams.files_team()
    if files is None or role not in files.roles:
        raise TerminalError(f"the files do not say what {role} is", "`signoff check` says why")
    facts = facts_of(files.roles[role], *concerned(files, role))
    return {**files_of(house.workspace.root, files.roles[role].folder), "team.yaml": facts}


# --- Numbers ----------------------------------------------------------------------------------------------------------


async def _cost(parsed: argparse.Namespace, house: House) -> int:
    _known(house, parsed.role)
    team = priced(house.workspace.root, house.environ)
    rows: list[tuple[str, ...]] = []
    for role in [parsed.role] if parsed.role else team.roles:
        cost = cost_of(house.workspace.root, house.environ, team, role)
        money = f"first call {_dollars(cost.first_microusd)}, then {_dollars(cost.next_microusd)}"
        rows.append((role, cost.model.model, f"{cost.tokens:,} tokens", money))
        if parsed.role:
            rows += [(f"  {name}", "", f"{tokens:,} tokens") for name, tokens in cost.parts if tokens]
    _table(rows)
    print("Input only, at the preset's prices; about four bytes a token. What a task says comes on top.")
    return 0


def _dollars(microusd: float) -> str:
    return f"${microusd / 1_000_000:.5f}"


async def _stats(parsed: argparse.Namespace, house: House) -> int:
    """Weeks count back from now; this one is compared with those before it."""
    team, read, now_ms = _known(house, parsed.role), house.store.read, house.clock.now_ms()
    if not 1 <= parsed.weeks <= 520:
        raise UsageError(f"{parsed.weeks} weeks", "1 to 520")
    since_ms = now_ms - parsed.weeks * 7 * DAY_MS
    tasks = [row.task for row in await read.tasks(limit=TASKS_MAX)]
    asked = [*await read.inquiries(), *await read.decisions(since_ms=since_ms, limit=TASKS_MAX)]
    rows: list[tuple[str, ...]] = [told(None)]
    roles = [parsed.role] if parsed.role else [*team.roles]
    rows.extend(told(numbers_of(role, tasks, asked, since_ms, now_ms)) for role in roles)
    _table(rows)
    return 0
